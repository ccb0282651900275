package publisher_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/loop/coro"
	"zamqp/publisher"
)

// uses are the methods that change a call or wait, each with its error. For methods without
// an error the test checks that they have done nothing.
var uses = map[string]func(r *publisher.Request) error{
	"Publish":    func(r *publisher.Request) error { return r.Publish("out", "x") },
	"Call":       func(r *publisher.Request) error { _, err := r.Call("out", "x"); return err },
	"Reply":      func(r *publisher.Request) error { return r.Reply(201, "foreign") },
	"ReplyAs":    func(r *publisher.Request) error { return r.ReplyAs(201, "json", "foreign") },
	"Text":       func(r *publisher.Request) error { return r.Text(201, "foreign") },
	"Bytes":      func(r *publisher.Request) error { return r.Bytes(201, "text/plain", []byte("foreign")) },
	"Stream":     func(r *publisher.Request) error { return r.Stream(201, "text/plain", -1, nil) },
	"Join":       func(r *publisher.Request) error { return r.Join(nil) },
	"Sleep":      func(r *publisher.Request) error { return r.Sleep(time.Hour) },
	"Await":      func(r *publisher.Request) error { return r.Await(func(func(error)) {}) },
	"Offload":    func(r *publisher.Request) error { return r.Offload(func() error { return nil }) },
	"Len":        func(r *publisher.Request) error { _, err := r.Queue("q").Len(); return err },
	"Get":        func(r *publisher.Request) error { _, err := r.Queue("q").Get(); return err },
	"Pause":      func(r *publisher.Request) error { return r.Pause("c") },
	"Resume":     func(r *publisher.Request) error { return r.Resume("c") },
	"SetHeader":  func(r *publisher.Request) error { r.SetHeader("X-Foreign", "x"); return nil },
	"SetHeaders": func(r *publisher.Request) error { r.SetHeaders(publisher.Table{"X-Foreign": "x"}); return nil },
	"Commit":     func(r *publisher.Request) error { publisher.Commit(r); return nil },
}

func silent(name string) bool { return strings.HasPrefix(name, "SetHeader") || name == "Commit" }

// elsewhere runs a use on a goroutine of its own.
func elsewhere(r *publisher.Request, use func(r *publisher.Request) error) error {
	done := make(chan error)
	go func() { done <- use(r) }()
	return <-done
}

// TestForeignGoroutines: a native handler's request does nothing on a goroutine
// that is not the handler's, in whatever state its call is, and says so.
func TestForeignGoroutines(t *testing.T) {
	if coro.Self() == 0 {
		t.Skip("goroutines are not told apart on this platform")
	}
	for name, use := range uses {
		for _, state := range []string{"running", "offloaded", "waiting", "over", "reused"} {
			t.Run(name+" "+state, func(t *testing.T) {
				b := newBench(t)
				b.reg.Produce("out", publisher.Producer{})
				b.reg.Consume("c", publisher.Consumer{}, func(*publisher.Request) error { return nil })
				want, got := publisher.ErrForeign, errors.New("it was not used")
				var kept *publisher.Request
				b.reg.Handle("/", func(r *publisher.Request) error {
					if err := r.Text(200, "own"); err != nil {
						return err
					}
					switch kept = r; state {
					case "running":
						got = elsewhere(r, use)
					case "offloaded":
						return r.Offload(func() error { got = use(r); return nil })
					case "waiting":
						return r.Sleep(time.Second)
					}
					return nil
				})
				b.reg.Handle("/next", func(r *publisher.Request) error {
					got = elsewhere(kept, use)
					return r.Text(200, "own")
				})
				b.start(publisher.Options{})
				b.request("GET", "/", "", "")
				switch b.offloaded(); state {
				case "waiting":
					got = elsewhere(kept, use)
					b.advance(time.Second)
				case "over":
					want, got = publisher.ErrOver, elsewhere(kept, use)
				case "reused":
					if next := b.request("GET", "/next", "", "").Request(); next != kept { // the debug build uses none again
						want = publisher.ErrOver
					}
				}
				if !silent(name) && !errors.Is(got, want) {
					t.Errorf("error %v, want %v", got, want)
				}
				if last := b.last(); last.Err != nil || last.status != 200 || last.body != "own" || last.lines != "" || len(b.sent) > 0 {
					t.Errorf("the call: %+v, %d publishes", last, len(b.sent))
				}
				line := b.log.String()
				if !strings.Contains(line, `"place":"publisher/foreign_test.go:`) || !strings.Contains(line, fmt.Sprintf(`"method":%q`, name)) {
					t.Errorf("log: %s", line)
				}
			})
		}
	}
}

// TestForeignUsesDoNotFloodTheLog: a place is logged once a second, and counted.
func TestForeignUsesDoNotFloodTheLog(t *testing.T) {
	if coro.Self() == 0 {
		t.Skip("goroutines are not told apart on this platform")
	}
	b := newBench(t)
	const count = 10_000
	b.reg.Handle("/", func(r *publisher.Request) error {
		return elsewhere(r, func(r *publisher.Request) error {
			for range count {
				_ = r.Text(200, "foreign")
			}
			return nil
		})
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	if n := strings.Count(b.log.String(), "place"); n == 0 || n > count/10 {
		t.Errorf("%d lines", n)
	}
	for _, m := range b.server.Metrics() {
		if m.Name == "foreign_uses_total" && m.Value != count {
			t.Errorf("%v are counted", m.Value)
		}
	}
}
