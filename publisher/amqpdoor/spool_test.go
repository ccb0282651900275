package amqpdoor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/crashfs"
	"zamqp/tests/doortest"
)

// writing is a server whose calls publish.
func writing() *publisher.Registry {
	g := publisher.NewRegistry()
	g.Produce("work", publisher.Producer{Queue: "work", Codec: "text"})
	g.Produce("lost", publisher.Producer{Mandatory: true, Codec: "text"})
	g.Handle("POST /work", func(r *publisher.Request) error {
		_ = r.Publish("work", append([]byte(nil), r.Body()...))
		return r.Reply(202, nil)
	})
	g.Handle("POST /two", func(r *publisher.Request) error {
		_ = r.Publish("work", append([]byte("a-"), r.Body()...))
		_ = r.Publish("work", append([]byte("b-"), r.Body()...))
		return r.Reply(202, nil)
	})
	g.Handle("POST /lost", func(r *publisher.Request) error {
		_ = r.Publish("lost", append([]byte(nil), r.Body()...), publisher.Key("nobody"))
		return r.Reply(202, nil)
	})
	return g
}

const confirmTimeout = 3 * time.Second

func spooling(g *publisher.Registry, disk *crashfs.FS) doortest.Setup {
	return doortest.Setup{Registry: g, Spool: disk, Client: client.Config{ConfirmTimeout: confirmTimeout, Heartbeat: time.Minute, BackoffMax: time.Second}}
}

// arrivals is what has come to a queue: bodies in the order of their first copy,
// and how many have come more than once. Copies have the id of their first.
func arrivals(t *testing.T, w *doortest.World, queue string) (bodies []string, copies map[string]int) {
	t.Helper()
	copies = map[string]int{}
	ids := map[string]string{}
	for _, m := range w.Take(queue) {
		body := string(m.Body)
		if copies[body]++; copies[body] == 1 {
			bodies = append(bodies, body)
			ids[body] = m.MessageId
		}
		if m.MessageId == "" || ids[body] != m.MessageId {
			t.Errorf("%s came with the ids %q and %q", body, ids[body], m.MessageId)
		}
	}
	return bodies, copies
}

// answered are the bodies of calls that were told that they are done.
func answered(calls []*doortest.Call) (bodies []string) {
	for _, c := range calls {
		if c.Over && c.Status == 202 {
			bodies = append(bodies, c.Body)
		}
	}
	return bodies
}

// isSubsequence reports whether what was answered has come, in its order.
func isSubsequence(part, whole []string) bool {
	for _, s := range whole {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// emptied waits until the spool has nothing left.
func emptied(w *doortest.World, p *doortest.Process) {
	w.T.Helper()
	w.Until("the spool is empty", 5*time.Minute, func() bool { return p.Store.Empty() && p.Client.Ready() })
}

// TestEveryCutWithSpool cuts the wire after each operation of a story. Every call
// is answered as done, and all has come, in order.
func TestEveryCutWithSpool(t *testing.T) {
	for _, seed := range []int64{0, 7} {
		doortest.EveryCut(t, seed, 1, func(t *testing.T, world func(broker.Options) *doortest.World) int {
			w := world(broker.Options{})
			p := w.Start(spooling(writing(), crashfs.New()))
			for i := range 12 {
				p.Call("POST /work", fmt.Sprintf("%04d", i))
				if i%4 == 0 {
					w.Advance(30 * time.Millisecond)
				}
			}
			w.Advance(time.Second)
			for i := range 12 {
				p.Call("POST /work", fmt.Sprintf("%04d", 12+i))
				if i%3 == 0 {
					w.Settle()
				}
			}
			w.Settle()
			operations := w.Operations
			emptied(w, p)
			w.Until("calls are answered", time.Minute, func() bool { return len(answered(p.Calls)) == 24 })
			bodies, copies := arrivals(t, w, "work")
			for body, c := range copies {
				if c > 2 || c > 1 && w.CutAt == 0 {
					t.Errorf("%s came %d times", body, c)
				}
			}
			if !isSubsequence(answered(p.Calls), bodies) {
				t.Errorf("came: %s", strings.Join(bodies, " "))
			}
			return operations
		})
	}
}
