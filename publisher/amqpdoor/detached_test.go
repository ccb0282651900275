package amqpdoor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/wiretest"
)

// TestDetachedOutcomes: a publish outside of a call has the same outcomes as that of a call.
func TestDetachedOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		producer, key string
		spool         bool
		max, body     int
		before        func(w *doortest.World, p *doortest.Process)
		want          string // in the error; "" is none
	}{
		"all is well":               {producer: "work", key: "work"},
		"nobody's queue":            {producer: "lost", key: "nobody", want: "312"},
		"no such exchange":          {producer: "nowhere", key: "k", want: "404"},
		"the connection is down":    {producer: "work", key: "work", before: away, want: "confirm"},
		"publish_max is reached":    {producer: "work", key: "work", max: 4096, body: 5000, want: "publish"},
		"blocked":                   {producer: "work", key: "work", before: blocked, want: "confirm"},
		"blocked, with a spool":     {producer: "work", key: "work", spool: true, before: blocked},
		"down, with a spool":        {producer: "work", key: "work", spool: true, before: away},
		"the spool is full":         {producer: "work", key: "work", spool: true, body: 5000, before: filled, want: "full"},
		"publish_max, with a spool": {producer: "work", key: "work", spool: true, max: 4096, body: 5000, want: "publish"},
	} {
		t.Run(name, func(t *testing.T) {
			g := writing()
			g.Handle("POST /fill", func(r *publisher.Request) error {
				_ = r.Publish("work", make([]byte, 6000))
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
			err := p.Server.Publish(context.Background(), c.producer, make([]byte, c.body), publisher.Key(c.key))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, publisher.ErrUnavailable) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want an ErrUnavailable with %q", err, c.want)
			}
			w.Down = false
			unblocked(w)
			w.Advance(20 * time.Second)
		})
	}
}

// TestDetachedThroughCuts: wherever the wire is cut, publishes that Publish has reported as
// done have arrived, once for each id, and with a spool nothing fails.
func TestDetachedThroughCuts(t *testing.T) {
	for _, spool := range []bool{false, true} {
		t.Run(fmt.Sprintf("spool=%v", spool), func(t *testing.T) {
			doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
				w := world(broker.Options{})
				s := steady(writing())
				if spool {
					s = spooling(writing(), crashfs.New())
				}
				p := w.Start(s)
				w.Advance(time.Second)
				var done []string
				for i := range 3 {
					body := fmt.Sprint(i)
					err := p.Server.Publish(context.Background(), "work", []byte(body), publisher.MessageID(body))
					if err == nil {
						done = append(done, body)
					} else if spool {
						t.Errorf("%s: %v", body, err)
					}
				}
				operations := w.Operations
				if spool {
					emptied(w, p)
				} else {
					w.Advance(20 * time.Second)
				}
				if came, _ := arrivals(t, w, "work"); !isSubsequence(done, came) {
					t.Errorf("%v were said to be done, and %v came", done, came)
				}
				return operations
			})
		})
	}
}

// TestDetachedLeftOnTheWay: a context that ends at any moment of a publish gets a true
// answer: a publish that was reported as "nothing was sent" never arrives.
func TestDetachedLeftOnTheWay(t *testing.T) {
	doortest.Every(t, "ends", func(t *testing.T, at int) int {
		w := doortest.New(t, 0, broker.Options{})
		p := w.Start(steady(writing()))
		w.Advance(time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		begun := w.Operations
		w.OnOperation = func(n int) {
			if n == begun+at {
				cancel()
			}
		}
		if at == 0 {
			w.OnOperation = nil
		}
		err := p.Server.Publish(ctx, "work", []byte("x"), publisher.MessageID("x"))
		operations := w.Operations - begun
		w.Advance(20 * time.Second)
		came, _ := arrivals(t, w, "work")
		switch {
		case err == nil && len(came) == 1:
		case errors.Is(err, context.Canceled) && errors.Is(err, publisher.ErrUnknownOutcome):
		default:
			t.Errorf("%v, and %v came", err, came)
		}
		cancel()
		return operations
	})
}

// TestDetachedWhileTheServerStops: OnStop functions publish while the connections
// are still there, and later ones are refused.
func TestDetachedWhileTheServerStops(t *testing.T) {
	wiretest.Seeds(t, 5, func(t *testing.T, seed int64) {
		g := writing()
		w := doortest.New(t, seed, broker.Options{})
		var p *doortest.Process
		g.OnStop(func(ctx context.Context) error {
			return p.Server.Publish(ctx, "work", []byte("goodbye"), publisher.MessageID("goodbye"))
		})
		p = w.Start(spooling(g, crashfs.New()))
		w.Advance(time.Second)
		p.Server.BeginDrain()
		p.Server.RunOnStop(context.Background())
		p.Server.RefusePublishes()
		if err := p.Server.Publish(context.Background(), "work", []byte("late")); !errors.Is(err, publisher.ErrShutdown) {
			t.Errorf("after the OnStop functions: %v", err)
		}
		p.Shutdown(time.Minute)
		if came, _ := arrivals(t, w, "work"); len(came) != 1 || came[0] != "goodbye" {
			t.Errorf("%v came\n%s", came, p.Log)
		}
	})
}
