package publisher

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
)

// ticks is a source like a clock: it has only what the contract requires.
type ticks struct {
	unanswered
	label   string
	handler Handler
	count   int
}

func (*ticks) origin() Origin         { return "ticks" }
func (t *ticks) name(*Request) string { return t.label }
func (t *ticks) begin(r *Request) bool {
	t.count++
	r.handler, r.label = t.handler, &t.label
	return true
}

// still is a loop in which nothing happens.
type still struct{ posted []func() }

func (*still) Now() time.Time                          { return time.Unix(1000, 0) }
func (*still) Since(time.Time) time.Duration           { return 0 }
func (s *still) Post(fn func()) bool                   { s.posted = append(s.posted, fn); return true }
func (*still) Offload(uintptr, func(), func())         {}
func (*still) MoreTasks()                              {}
func (*still) Enter(*string)                           {}
func (*still) After(time.Duration, func()) func() bool { return func() bool { return true } }

// outcomes is a door that takes note of how calls end.
type outcomes []Outcome

func (o *outcomes) Done(c *Call) { *o = append(*o, *c.Outcome()) }

// TestAThirdSource: calls that come neither from HTTP nor from messages run, fail and are
// logged by the contract alone, even on a Request that another source has used.
func TestAThirdSource(t *testing.T) {
	var log strings.Builder
	g := NewRegistry()
	g.Consume("c", Consumer{}, func(*Request) error { return nil })
	g.Handle("/", func(r *Request) error { return r.Text(200, "") })
	s, err := NewServer(g, nil, nil, Options{Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(&still{})
	properties, err := (&amqpproto.Properties{Flags: amqpproto.FlagMessageID, MessageID: []byte("m")}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	var door outcomes
	before := func(n int) {
		c := s.NewCall()
		if n%2 == 0 {
			c.SetHTTP([]byte("GET"), []byte("/a?b"), []byte("host"), []Field{{Name: []byte("X"), Value: []byte("y")}}, nil)
		} else if err := c.SetMessage(&Message{Consumer: "c", Exchange: []byte("x"), RoutingKey: []byte("k"), Properties: properties}); err != nil {
			t.Fatal(err)
		}
		s.Dispatch(c, new(outcomes))
	}
	tick := &ticks{label: "tick"}
	for n, row := range []struct {
		what    string
		handler Handler
		fails   string // part of the log's line; "" for a call that does not
	}{
		{"returns", func(*Request) error { return nil }, ""},
		{"answers", func(r *Request) error { r.SetHeader("X", "y"); r.SetHeaders(Table{"z": 1}); return r.Text(200, "y") }, ""},
		{"answers 404", func(r *Request) error { return r.Text(404, "") }, ""},
		{"answers 500", func(r *Request) error { return r.Text(500, "") }, `"error":"500 Internal Server Error"`},
		{"returns an error", func(*Request) error { return errors.New("no luck") }, `"level":"error","error":"no luck","call":"tick","handler":"tick"`},
		{"panics", func(*Request) error { panic("ouch") }, "ouch"},
		{"streams", func(r *Request) error { return r.Stream(200, "", -1, func(*Stream) error { return nil }) }, "stream: "},
		{"is a net/http handler", Inline(http.NotFoundHandler()), "404 page not found"},
		{"is redirected", Inline(http.RedirectHandler("/", http.StatusFound)), "no success for a ticks"},
		{"looks", func(r *Request) error {
			if r.Header("X")+r.Host()+r.Query().Encode() != "" || r.Path() != "/tick" || len(r.Headers()) > 0 || len(r.ContentType()) > 0 ||
				len(r.Body()) > 0 || r.MessageID() != nil || r.Delivery() != nil || r.Attempt() != 1 || r.Origin() != "ticks" {
				t.Errorf("it has a header: %v", r.Headers())
			}
			r.Log().Info().Msg("seen")
			return nil
		}, ""},
	} {
		before(n)
		log.Reset()
		tick.handler = row.handler
		c := s.NewCall()
		r := c.Request()
		r.from(tick)
		r.target, r.path = []byte("/tick"), []byte("/tick")
		s.Dispatch(c, &door)
		if len(door) != n+1 {
			t.Fatalf("%s: %d calls are over", row.what, len(door))
		}
		failed := door[n].Err != nil
		if failed != (row.fails != "") || !strings.Contains(log.String(), row.fails) || strings.Count(log.String(), callFailed) > 1 {
			t.Errorf("%s: error %v, log %s", row.what, door[n].Err, log.String())
		}
	}
	if snapshot := s.Snapshot(); tick.count != len(door) || s.Live() != 0 || snapshot.Requests != 5 || snapshot.Messages != 5 {
		t.Errorf("%d ticks, %d live, %+v", tick.count, s.Live(), snapshot)
	}
}
