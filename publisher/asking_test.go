package publisher_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func TestCallWaitsForItsAnswer(t *testing.T) {
	g := publisher.NewRegistry()
	g.Produce("ask", publisher.Producer{Exchange: "x", RoutingKey: "k"})
	g.Handle("GET /ask", func(r *publisher.Request) error {
		a, err := r.Call("ask", map[string]int{"n": 1}, publisher.Timeout(time.Second), publisher.Key("other"))
		if a != nil && a.Status == 422 {
			return publisher.Errorf(499, "%v", err)
		}
		if err != nil {
			return err
		}
		var n int
		if err := a.Decode(&n); err != nil {
			return err
		}
		return r.Reply(200, n)
	})
	for _, row := range []struct {
		name   string
		answer *publisher.Answer
		err    error
		status int
		body   string
	}{
		{"an answer", &publisher.Answer{Status: 200, ContentType: "application/json", Body: []byte("7")}, nil, 200, "7"},
		{"a packed one", &publisher.Answer{Status: 200, ContentType: "application/json", Encoding: "gzip", Body: packed(t, "8")}, nil, 200, "8"},
		{"a refusal", &publisher.Answer{Status: 422, Body: []byte("no")}, nil, 499, "call ask: 422 no\n"},
		{"nonsense", &publisher.Answer{Status: 200, ContentType: "application/json", Body: []byte("{")}, nil, 500, "Internal Server Error\n"},
		{"none", nil, errors.New("no reply in time"), 503, "Service Unavailable\n"},
	} {
		s := publishertest.New(t, g)
		s.Answer(func(p publishertest.Published) (*publisher.Answer, error) {
			if p.Exchange != "x" || p.RoutingKey != "other" || string(p.Body) != `{"n":1}` || !p.Mandatory {
				t.Errorf("%+v", p)
			}
			return row.answer, row.err
		})
		if got := s.Request("GET", "/ask", "", ""); got.Status != row.status || got.Body != row.body {
			t.Errorf("%s: %+v", row.name, got)
		}
		if sent := s.Published(); sent != nil {
			t.Errorf("a request is no part of the transaction: %+v", sent)
		}
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPackedBodies(t *testing.T) {
	g := publisher.NewRegistry()
	var decoded string
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { return r.Decode(&decoded) })
	s := publishertest.New(t, g)
	for _, row := range []struct {
		name, encoding string
		body           []byte
		ok             bool
	}{
		{"plain", "", []byte("text"), true},
		{"identity", "identity", []byte("text"), true},
		{"gzip", "gzip", packed(t, "text"), true},
		{"its alias", "X-GZIP", packed(t, "text"), true},
		{"no gzip", "gzip", []byte("text"), false},
		{"cut short", "gzip", packed(t, "text")[:20], false},
		{"a bomb", "gzip", packed(t, strings.Repeat("\x00", 65<<20)), false},
		{"unknown", "compress", []byte("text"), false},
	} {
		decoded = ""
		got := s.Deliver("c", publisher.Publishing{ContentType: "text/plain", ContentEncoding: row.encoding, Body: row.body})
		if row.ok != (got.Settlement == publisher.SettleAck) || row.ok != (decoded == "text") {
			t.Errorf("%s: %+v, %.20q", row.name, got, decoded)
		}
		if !row.ok && got.Reason != publisher.ReasonPermanent {
			t.Errorf("%s: %q", row.name, got.Reason)
		}
	}
}

// TestDerivedIDs: the same call makes the same ids, another consumer makes others, and a text
// that is too long for an id is hashed.
func TestDerivedIDs(t *testing.T) {
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{})
	twice := func(r *publisher.Request) error {
		_ = r.Publish("out", 1)
		_ = r.Publish("out", 2, publisher.MessageID("own"))
		return r.Publish("out", 3)
	}
	g.Consume("a", publisher.Consumer{}, twice)
	g.Consume("b", publisher.Consumer{}, twice)
	s := publishertest.New(t, g)
	ids := func(consumer, id string) (all []string) {
		s.Deliver(consumer, publisher.Publishing{MessageId: id})
		for _, p := range s.Published() {
			all = append(all, p.MessageId)
		}
		return all
	}
	if got := strings.Join(ids("a", "m"), " "); got != "m:a:0 own m:a:2" || got != strings.Join(ids("a", "m"), " ") {
		t.Errorf("%s", got)
	}
	if got := strings.Join(ids("b", "m"), " "); got != "m:b:0 own m:b:2" {
		t.Errorf("%s", got)
	}
	if got := ids("a", strings.Repeat("m", 255)); len(got[0]) != 64 || got[0] == got[2] {
		t.Errorf("%q", got)
	}
	if got := strings.Join(ids("a", ""), ""); got != "own" {
		t.Errorf("%q", got)
	}
}

func TestGetFromAQueue(t *testing.T) {
	g := publisher.NewRegistry()
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		d, err := r.Queue("parked").Get()
		if err != nil || d == nil {
			return err
		}
		var v string
		if err := publisher.DecodeDelivery(d, &v); err != nil {
			return err
		}
		if n, err := r.Queue("parked").Len(); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
		return errors.New(v)
	})
	s := publishertest.New(t, g)
	if got := s.Deliver("c", publisher.Publishing{}); !errors.Is(got.Err, publisher.ErrUnavailable) {
		t.Errorf("%+v", got)
	}
	s.Put("parked", publisher.Publishing{ContentType: "text/plain", Body: []byte("back it goes")})
	for range 2 { // the first one has given it back
		if got := s.Deliver("c", publisher.Publishing{}); got.Err == nil || got.Err.Error() != "back it goes" {
			t.Errorf("%+v", got)
		}
	}
}

// TestTraces: a message that comes back from a retry queue looks as it did at first, and has
// its attempts counted.
func TestTraces(t *testing.T) {
	g := publisher.NewRegistry()
	var path string
	var attempt int
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		path, attempt = r.Path(), r.Attempt()
		return errors.New("again")
	})
	s := publishertest.New(t, g)
	traced := publisher.Table{publisher.TraceAttempt: int64(2), publisher.TraceCrashes: int64(1),
		publisher.TraceExchange: "x", publisher.TraceRoutingKey: "k", publisher.TraceExpiration: "5000", "kept": int32(1)}
	got := s.Deliver("c", publisher.Publishing{Headers: traced})
	if path != "/default/x/k" || attempt != 4 || got.Settlement != publisher.SettleRetry || got.Delay != 4*time.Second {
		t.Errorf("%s, attempt %d: %+v", path, attempt, got)
	}
	p := publisher.Publishing{Headers: traced}
	exchange, key, ok := publisher.Untrace(&p)
	if exchange != "x" || key != "k" || !ok || p.Expiration != "5000" || len(p.Headers) != 1 || len(traced) != 6 {
		t.Errorf("%q %q %v %+v", exchange, key, ok, p)
	}
}

type ownBinary struct{ text string }

func (o *ownBinary) MarshalBinary() ([]byte, error) { return []byte("<" + o.text + ">"), nil }
func (o *ownBinary) UnmarshalBinary(b []byte) error {
	o.text = strings.Trim(string(b), "<>")
	return nil
}

func TestSelfEncoding(t *testing.T) {
	c := publisher.SelfEncoding("application/x-own", nil, nil)
	b, err := c.Append([]byte("kept"), &ownBinary{"a"})
	if err != nil || string(b) != "kept<a>" {
		t.Errorf("%q, %v", b, err)
	}
	var o ownBinary
	if err := c.Decode([]byte("<b>"), &o); err != nil || o.text != "b" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := c.Append(nil, 1); err == nil || !strings.Contains(err.Error(), "MarshalBinary") {
		t.Errorf("%v", err)
	}
	if err := c.Decode(nil, new(int)); err == nil {
		t.Error("into an int")
	}
}
