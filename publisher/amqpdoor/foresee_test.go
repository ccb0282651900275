package amqpdoor_test

import (
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
)

// row is a participant that counts what it has committed.
type row struct{ stored, undone *int }

func (w *row) Prepare(*publisher.Request) error { return nil }
func (w *row) Commit(*publisher.Request) error  { *w.stored++; return nil }
func (w *row) Abort(*publisher.Request)         { *w.undone++ }

// away is a broker that has gone.
func away(w *doortest.World, _ *doortest.Process) {
	w.Down = true
	w.Cut()
}

// blocked is a broker that has no space on its disk, and has sent connection.blocked. As
// RabbitMQ, it does so when a publish comes.
func blocked(w *doortest.World, p *doortest.Process) {
	w.Broker.DiskRoom(w.Broker.DiskMark(), 0, 1<<40)
	p.Call("POST /fill", "")
	w.Advance(time.Second)
}

// unblocked has room again.
func unblocked(w *doortest.World) { w.Broker.DiskRoom(w.Broker.DiskMark(), 1<<40, 0) }

// filled is a spool that has no room for another message, because its messages wait for a
// broker that is away.
func filled(w *doortest.World, p *doortest.Process) {
	away(w, p)
	call := p.Call("POST /fill", "")
	w.Advance(time.Second)
	if call.Status != 202 {
		w.T.Fatalf("the spool was not filled: %d", call.Status)
	}
}

// TestNothingIsStoredForPublishesThatCannotLeave: publishes that are known to fail are
// refused before a participant commits. With a spool, a connection that is down does not
// matter.
func TestNothingIsStoredForPublishesThatCannotLeave(t *testing.T) {
	for name, c := range map[string]struct {
		spool  bool
		max    int
		body   int
		before func(w *doortest.World, p *doortest.Process)
		status int
	}{
		"all is well":                           {status: 202},
		"the connection is down":                {before: away, status: 503},
		"publish_max is reached":                {max: 4096, body: 5000, status: 503},
		"the broker has blocked the connection": {before: blocked, status: 503},
		"blocked, with a spool":                 {spool: true, before: blocked, status: 202},
		"the spool is full":                     {spool: true, body: 5000, before: filled, status: 503},
		"down, with a spool":                    {spool: true, before: away, status: 202},
		"publish_max, with a spool":             {spool: true, max: 4096, body: 5000, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			stored, undone := 0, 0
			g := publisher.NewRegistry()
			g.Produce("told", publisher.Producer{Queue: "told", Codec: "text"})
			g.Handle("POST /store", func(r *publisher.Request) error {
				if err := r.Join(&row{&stored, &undone}); err != nil {
					return err
				}
				_ = r.Publish("told", make([]byte, c.body))
				return r.Text(202, "stored")
			})
			g.Handle("POST /fill", func(r *publisher.Request) error {
				_ = r.Publish("told", make([]byte, 6000))
				return r.Text(202, "in the spool")
			})
			w := doortest.New(t, 1, broker.Options{})
			s := doortest.Setup{Registry: g, Client: client.Config{ConfirmTimeout: 10 * time.Second, Heartbeat: time.Minute, BackoffMax: time.Second, PublishMax: c.max}}
			if c.spool {
				s.Spool, s.SpoolMax = crashfs.New(), 10_000
			}
			p := w.Start(s)
			w.Advance(time.Second)
			if c.before != nil {
				c.before(w, p)
			}
			call := p.Call("POST /store", "")
			w.Advance(20 * time.Second)
			if call.Status != c.status || stored != map[int]int{202: 1}[c.status] || stored+undone != 1 {
				t.Errorf("%d; %d stored, %d undone", call.Status, stored, undone)
			}
			w.Down = false
			unblocked(w)
			w.Advance(5 * time.Second)
		})
	}
}
