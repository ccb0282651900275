package publisher_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// mounts are both ways to mount a handler: an answer means the same in both.
var mounts = map[string]func(http.Handler) publisher.Handler{"HTTP": publisher.HTTP, "Inline": publisher.Inline}

// TestStatusOfAMountedHandler: a net/http handler can only say by its status how it went.
func TestStatusOfAMountedHandler(t *testing.T) {
	for mount, handler := range mounts {
		for status, want := range map[int]publisher.Settlement{
			200: publisher.SettleAck, 302: publisher.SettleDeadLetter, 304: publisher.SettleDeadLetter, 404: publisher.SettleDeadLetter,
			103: publisher.SettleDeadLetter, 429: publisher.SettleRetry, 500: publisher.SettleRetry, 999: publisher.SettleRetry,
		} {
			t.Run(fmt.Sprint(mount, status), func(t *testing.T) {
				b := newBench(t)
				b.reg.Produce("out", publisher.Producer{})
				h := handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					_ = publisher.FromContext(req.Context()).Publish("out", "x")
					w.WriteHeader(status)
				}))
				b.reg.Consume("c", publisher.Consumer{}, h)
				b.reg.Handle("/", h)
				b.start(publisher.Options{})
				b.message("c", 1, publisher.Publishing{})
				b.until("the message's call has committed or failed", func() bool { return len(b.done)+len(b.sent) > 0 })
				if len(b.sent) > 0 {
					b.confirm(0, nil)
				}
				if o := b.over(1); o.Settlement != want || (len(b.sent) > 0) != (want == publisher.SettleAck) {
					t.Errorf("%+v, %d sent", o.Outcome, len(b.sent))
				}
				sent := len(b.sent)
				b.request("GET", "/", "", "")
				b.until("the call has committed or failed", func() bool { return len(b.done) > 1 || len(b.sent) > sent })
				if len(b.sent) > sent {
					b.confirm(sent, nil)
				}
				wanted := status
				if status < 200 {
					wanted = 200 // it was not the answer
				}
				if o := b.over(2); o.status != wanted || o.Err != nil || (len(b.sent) > sent) != (status < 400) {
					t.Errorf("%+v, %d sent", o, len(b.sent)-sent)
				}
			})
		}
	}
}

// TestRefusalsAbort: an answer that is a refusal has published nothing, unless the handler
// has asked for that.
func TestRefusalsAbort(t *testing.T) {
	for _, row := range []struct {
		status  int
		commit  bool
		sent    bool
		settled publisher.Settlement
	}{
		{200, false, true, publisher.SettleAck}, {302, false, true, publisher.SettleAck}, {422, false, false, publisher.SettleAck},
		{422, true, true, publisher.SettleAck}, {500, false, false, publisher.SettleRetry}, {503, true, false, publisher.SettleRetry},
	} {
		b := newBench(t)
		b.reg.Produce("out", publisher.Producer{})
		p := &joiner{}
		h := func(r *publisher.Request) error {
			_ = r.Publish("out", "x")
			_ = r.Join(p)
			if row.commit {
				publisher.Commit(r)
			}
			return r.Reply(row.status, "told")
		}
		b.reg.Consume("c", publisher.Consumer{}, h)
		b.reg.Handle("/", h)
		b.start(publisher.Options{})
		b.request("GET", "/", "", "")
		if row.sent {
			b.confirm(0, nil)
		}
		if o := b.last(); o.status != row.status || o.body != "told" || o.Err != nil || (len(b.sent) == 1) != row.sent {
			t.Errorf("%+v: %+v, %d sent", row, o, len(b.sent))
		}
		want := "abort"
		if row.sent {
			want = "prepare commit"
		}
		if got := strings.Join(p.log, " "); got != want {
			t.Errorf("%+v: the participant: %s", row, got)
		}
		if !row.sent && !strings.Contains(b.log.String(), "publisher.Commit") {
			t.Errorf("%+v: nothing logged: %s", row, b.log.String())
		}
		sent := len(b.sent)
		b.message("c", 1, publisher.Publishing{ReplyTo: "asker"})
		replies := 0
		for _, s := range b.sent[sent:] { // before the confirms: a key dies with its own
			if s.key == "asker" {
				replies++
			}
		}
		for i := sent; i < len(b.sent); i++ {
			b.confirm(i, nil)
		}
		if o := b.last(); o.Settlement != row.settled {
			t.Errorf("%+v: a message: %+v", row, o)
		}
		if (replies == 1) != (row.settled == publisher.SettleAck) {
			t.Errorf("%+v: %d replies", row, replies)
		}
	}
}

type joiner struct{ log []string }

func (p *joiner) Prepare(*publisher.Request) error { p.log = append(p.log, "prepare"); return nil }
func (p *joiner) Commit(*publisher.Request) error  { p.log = append(p.log, "commit"); return nil }
func (p *joiner) Abort(*publisher.Request)         { p.log = append(p.log, "abort") }

// TestWaitsOfAMountedHandler: they work like those of any handler, and a publish that fails
// fails the call.
func TestWaitsOfAMountedHandler(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Handle("/", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := publisher.FromContext(req.Context())
		err := r.Sleep(time.Hour)
		offloaded := r.Offload(func() error { return fmt.Errorf("from the pool") })
		awaited := r.Await(func(done func(error)) { go done(fmt.Errorf("awaited")) })
		_, called := r.Call("out", "x")
		_, _, unknown := r.Header("X"), r.Body(), r.Publish("nobody", "x")
		fmt.Fprintln(w, err, offloaded, awaited, called != nil, unknown != nil)
	})))
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.until("it sleeps", func() bool { return len(b.timers) == 1 })
	b.advance(time.Hour)
	b.until("it has offloaded", func() bool { return len(b.work) == 1 })
	b.offloaded()
	if o := b.over(1); o.status != 500 || !strings.Contains(b.log.String(), "no such producer") {
		t.Errorf("a publish that failed, unseen: %+v\n%s", o, b.log.String())
	}
}

// TestFieldThatCannotBeSent: it is left out, as under net/http, but the log says so.
func TestFieldThatCannotBeSent(t *testing.T) {
	for mount, handler := range mounts {
		b := newBench(t)
		b.reg.Handle("/", handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X Y", "1")
			w.Header().Set("X-Good", "a\x01b")
			w.WriteHeader(202)
		})))
		b.start(publisher.Options{})
		b.request("GET", "/", "", "")
		o := b.over(1)
		if o.status != 202 || !strings.Contains(o.lines, "X-Good: a b\r\n") || strings.Contains(o.lines, "X Y") {
			t.Errorf("%s: %+v", mount, o)
		}
		if !strings.Contains(b.log.String(), `field name \"X Y\" is not a token`) {
			t.Errorf("%s: the log does not say so: %s", mount, b.log.String())
		}
	}
}
