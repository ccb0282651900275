package amqpdoor_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/wiretest"
)

// handled is what the handlers of a story have done. It is kept outside of any process.
type handled struct {
	runs map[string]int // of each body
	done []string       // bodies in the order in which their handlers have succeeded
}

var errPasses = errors.New("it may pass")

// consuming is a server whose handlers do what the body says: "ok", "fail2" (two attempts
// fail), "fail" (all fail), "bad" (a permanent failure), "slow" (half a second), "slowfail"
// (the first attempt fails after that), "slowbad", "tell" (it publishes).
func consuming(h *handled, retry publisher.Retry, lane string) *publisher.Registry {
	h.runs = map[string]int{}
	g := publisher.NewRegistry()
	g.Produce("told", publisher.Producer{Queue: "told", Codec: "text"})
	g.Consume("jobs", publisher.Consumer{Queue: "jobs", Prefetch: 5, Retry: retry, Lane: lane, Codec: "text"}, func(r *publisher.Request) error {
		body := string(r.Body())
		h.runs[body]++
		_, what, _ := strings.Cut(body, " ")
		switch what {
		case "fail2":
			if h.runs[body] <= 2 {
				return errPasses
			}
		case "fail":
			return errPasses
		case "bad":
			return publisher.Permanent(errors.New("a permanent failure"))
		case "slow":
			if err := r.Sleep(500 * time.Millisecond); err != nil {
				return err
			}
		case "slowfail":
			if err := r.Sleep(500 * time.Millisecond); err != nil || h.runs[body] == 1 {
				return errPasses
			}
		case "slowbad":
			_ = r.Sleep(500 * time.Millisecond)
			return publisher.Permanent(errors.New("a permanent failure"))
		case "tell":
			if err := r.Publish("told", []byte(body)); err != nil {
				return err
			}
		}
		h.done = append(h.done, body)
		return nil
	})
	g.Handle("POST /pause", func(r *publisher.Request) error { return r.Pause("jobs") })
	g.Handle("POST /resume", func(r *publisher.Request) error { return r.Resume("jobs") })
	return g
}

func steady(g *publisher.Registry) doortest.Setup {
	return doortest.Setup{Registry: g, Client: client.Config{ConfirmTimeout: 10 * time.Second, Heartbeat: time.Minute, BackoffMax: time.Second}}
}

// settledWell checks what holds for every story: the client has settled each
// delivery once, and the broker had no reason to close a channel.
func settledWell(t testing.TB, p *doortest.Process) {
	t.Helper()
	if s := p.Client.Stats(); s.DoubleSettled != 0 || s.ChannelErrors != 0 {
		t.Errorf("%d settled twice, %d channels closed by the broker", s.DoubleSettled, s.ChannelErrors)
	}
}

// finished waits until every message is handled or dead, and nothing is in hand
// or waits for another attempt; it returns the dead ones by body with the reason.
func finished(w *doortest.World, p *doortest.Process, h *handled, bodies []string, dead map[string]string) {
	t := w.T
	t.Helper()
	w.Until("all is handled or dead", 10*time.Minute, func() bool {
		if w.Broker.Stats().Unacked != 0 {
			return false
		}
		left := 0
		for _, q := range w.Broker.QueueStats(1000) {
			if q.Name != "jobs.dead" && q.Name != "told" {
				left += q.Messages + q.Unacked
			}
		}
		return left == 0
	})
	w.Advance(2 * time.Second)
	settledWell(t, p)
	done := map[string]bool{}
	for _, body := range h.done {
		done[body] = true
	}
	reasons := map[string]string{}
	for _, m := range w.Take("jobs.dead") {
		reason, _ := m.Headers[publisher.TraceReason].(string)
		if _, twice := reasons[string(m.Body)]; twice && w.CutAt == 0 && w.OnOperation == nil {
			t.Errorf("%q is dead twice", m.Body)
		}
		reasons[string(m.Body)] = reason
	}
	for _, body := range bodies {
		reason, isDead := reasons[body]
		switch want := dead[body]; {
		case want == "" && (!done[body] || isDead):
			t.Errorf("%q: handled %v in %d runs, dead %q", body, done[body], h.runs[body], reason)
		case want != "" && (done[body] || reason != want):
			t.Errorf("%q: handled %v in %d runs, dead %q, want dead as %q", body, done[body], h.runs[body], reason, want)
		}
	}
}

// TestEveryCutWithFailures cuts the wire after each operation of a story in which
// messages are handled, fail and are tried again, or are given up.
func TestEveryCutWithFailures(t *testing.T) {
	for _, seed := range []int64{0, 5} {
		for name, retry := range map[string]publisher.Retry{
			"queues":  {Attempts: 3, Min: time.Second, Max: 2 * time.Second},
			"inplace": {Attempts: 3, Min: time.Second, Max: 2 * time.Second, InPlace: true},
		} {
			t.Run(name, func(t *testing.T) {
				doortest.EveryCut(t, seed, func(t *testing.T, world func(broker.Options) *doortest.World) int {
					w := world(broker.Options{})
					h := &handled{}
					w.Declare(client.Topology{Queues: []client.Queue{{Name: "before", Durable: true}}})
					p := w.Start(steady(consuming(h, retry, "")))
					w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 && w.Messages("told") >= 0 })
					bodies := []string{"0 ok", "1 fail2", "2 bad", "3 slow", "4 tell", "5 fail", "6 ok", "7 ok"}
					for _, body := range bodies {
						w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
					}
					w.Advance(8 * time.Second)
					operations := w.Operations
					finished(w, p, h, bodies, map[string]string{"2 bad": publisher.ReasonPermanent, "5 fail": publisher.ReasonAttempts})
					if got, _ := arrivals(t, w, "told"); len(got) != 1 || got[0] != "4 tell" {
						t.Errorf("told: %v", got)
					}
					if w.CutAt == 0 {
						for body, want := range map[string]int{"0 ok": 1, "1 fail2": 3, "2 bad": 1, "3 slow": 1, "4 tell": 1, "5 fail": 3} {
							if h.runs[body] != want {
								t.Errorf("%q ran %d times, want %d", body, h.runs[body], want)
							}
						}
					}
					return operations
				})
			})
		}
	}
}

// TestEveryCutWithLanes: messages of one key are handled in their order, whatever
// fails on the way and whenever the wire is cut.
func TestEveryCutWithLanes(t *testing.T) {
	for _, seed := range []int64{0, 9} {
		doortest.EveryCut(t, seed, func(t *testing.T, world func(broker.Options) *doortest.World) int {
			w := world(broker.Options{})
			h := &handled{}
			p := w.Start(steady(consuming(h, publisher.Retry{Attempts: 4, Min: time.Second, Max: time.Second}, "header:lane")))
			w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 })
			var bodies []string
			for i := range 12 {
				lane := "ab"[i%2 : i%2+1]
				body := fmt.Sprintf("%s%02d %s", lane, i, []string{"ok", "slow", "fail2", "ok", "slow", "ok"}[i%6])
				bodies = append(bodies, body)
				w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2, Headers: amqp.Table{"lane": lane}})
			}
			w.Advance(15 * time.Second)
			operations := w.Operations
			finished(w, p, h, bodies, nil)
			seen := map[string]bool{}
			last := map[byte]string{}
			for _, body := range h.done {
				if seen[body] {
					continue // again, after a cut
				}
				seen[body] = true
				if body < last[body[0]] {
					t.Errorf("%q was handled after %q: %v", body, last[body[0]], h.done)
				}
				last[body[0]] = body
			}
			return operations
		})
	}
}

// TestEveryCutWithPauses: a consumer that is paused and goes on.
func TestEveryCutWithPauses(t *testing.T) {
	doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
		w := world(broker.Options{})
		h := &handled{}
		p := w.Start(steady(consuming(h, publisher.Retry{Attempts: 3, Min: time.Second}, "")))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 })
		var bodies []string
		put := func(what string) {
			body := fmt.Sprintf("%02d %s", len(bodies), what)
			bodies = append(bodies, body)
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
		}
		for range 3 {
			put("ok")
			put("slow")
			p.Call("POST /pause", "")
			put("ok")
			put("fail2")
			w.Advance(2 * time.Second)
			runs := len(h.done)
			w.Advance(2 * time.Second)
			if len(h.done) != runs {
				t.Errorf("%d handled while it is paused", len(h.done)-runs)
			}
			p.Call("POST /resume", "")
			w.Advance(300 * time.Millisecond)
		}
		operations := w.Operations
		finished(w, p, h, bodies, nil)
		return operations
	})
}

// TestEveryStopInOrder ends the server cleanly at each step of a story, and starts another
// one: nothing is lost, and messages that were not in hand are handled once.
func TestEveryStopInOrder(t *testing.T) {
	story := func(t *testing.T, seed int64, stopAt int) (steps int) {
		w := doortest.New(t, seed, broker.Options{})
		h := &handled{}
		g := consuming(h, publisher.Retry{Attempts: 3, Min: time.Second}, "")
		p := w.Start(steady(g))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 && w.Messages("told") >= 0 })
		var bodies []string
		for i, what := range []string{"ok", "slow", "fail2", "tell", "slow", "bad", "ok", "ok"} {
			body := fmt.Sprintf("%02d %s", i, what)
			bodies = append(bodies, body)
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
			if steps++; steps == stopAt {
				p.Shutdown(time.Minute)
				p = w.Start(steady(g))
			}
		}
		for range 30 {
			w.Advance(100 * time.Millisecond)
			if steps++; steps == stopAt {
				p.Shutdown(time.Minute)
				p = w.Start(steady(g))
			}
		}
		finished(w, p, h, bodies, map[string]string{"05 bad": publisher.ReasonPermanent})
		for _, body := range []string{"00 ok", "06 ok", "07 ok", "03 tell"} {
			if h.runs[body] != 1 {
				t.Errorf("%q ran %d times", body, h.runs[body])
			}
		}
		return steps
	}
	for _, seed := range []int64{0, 2} {
		doortest.Every(t, fmt.Sprintf("seed=%d/stop", seed), func(t *testing.T, at int) int { return story(t, seed, at) })
	}
}

// TestFrozenBrokerAndConsumers: a broker that is frozen for a while costs nothing but time.
func TestFrozenBrokerAndConsumers(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		w := doortest.New(t, seed, broker.Options{})
		h := &handled{}
		p := w.Start(steady(consuming(h, publisher.Retry{Attempts: 3, Min: time.Second}, "")))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 })
		var bodies []string
		for i := range 10 {
			body := fmt.Sprintf("%02d %s", i, []string{"ok", "slow", "ok"}[i%3])
			bodies = append(bodies, body)
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
		}
		w.Freeze()
		w.Advance(40 * time.Second)
		w.Thaw()
		finished(w, p, h, bodies, nil)
		for body, runs := range h.runs {
			if runs != 1 {
				t.Errorf("%q ran %d times", body, runs)
			}
		}
	})
}

// TestRetryQueueThatIsGone: somebody deletes the queue in which failed messages wait.
// Messages that cannot be moved there are tried again in their own queue.
func TestRetryQueueThatIsGone(t *testing.T) {
	doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
		w := world(broker.Options{})
		h := &handled{}
		p := w.Start(steady(consuming(h, publisher.Retry{Attempts: 4, Min: time.Second, Max: time.Second}, "")))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs.retry.1s") >= 0 })
		w.Delete("jobs.retry.1s")
		bodies := []string{"0 fail2", "1 ok", "2 fail2"}
		for _, body := range bodies {
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
		}
		w.Advance(time.Minute)
		operations := w.Operations
		finished(w, p, h, bodies, nil)
		return operations
	})
}

// TestFrozenBrokerAndCopies: the broker is frozen for longer than confirm_timeout while it
// has the copies of failed and given-up messages. It gets no second copies: the originals
// wait until it has answered.
func TestFrozenBrokerAndCopies(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		w := doortest.New(t, seed, broker.Options{})
		h := &handled{}
		p := w.Start(steady(consuming(h, publisher.Retry{Attempts: 3, Min: time.Second}, "")))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 })
		bodies := []string{"0 slowbad", "1 slowfail", "2 slowbad", "3 slowfail"}
		for _, body := range bodies {
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
		}
		w.Freeze()
		w.Advance(45 * time.Second)
		w.Thaw()
		finished(w, p, h, bodies, map[string]string{"0 slowbad": publisher.ReasonPermanent, "2 slowbad": publisher.ReasonPermanent})
		for body, want := range map[string]int{"0 slowbad": 1, "1 slowfail": 2, "2 slowbad": 1, "3 slowfail": 2} {
			if h.runs[body] != want {
				t.Errorf("%q ran %d times, want %d", body, h.runs[body], want)
			}
		}
	})
}

// TestEveryDeathWithFailures kills our process, or takes the broker's power, after each
// operation of a story with failures. Every message is handled, or is dead with its reason.
// None is dead because of the kills.
func TestEveryDeathWithFailures(t *testing.T) {
	bodies := []string{"0 ok", "1 fail2", "2 bad", "3 slow", "4 tell", "5 ok"}
	story := func(t *testing.T, seed int64, of string, at int) (operations int) {
		files := crashfs.New()
		w := doortest.New(t, seed, broker.Options{DataDir: "data", Files: files})
		h := &handled{}
		g := consuming(h, publisher.Retry{Attempts: 3, Min: time.Second, Max: time.Second}, "")
		p := w.Start(steady(g))
		w.Until("the queue is there", time.Minute, func() bool { return w.Messages("jobs") >= 0 && w.Messages("told") >= 0 })
		p.Shutdown(time.Minute)
		for _, body := range bodies {
			w.Put("jobs", amqp.Publishing{Body: []byte(body), MessageId: body, DeliveryMode: 2})
		}
		begun, killed := w.Operations, false
		w.OnOperation = func(n int) {
			switch {
			case n != begun+at || at == 0:
			case of == "broker":
				w.CrashBroker(files.Crash(rand.New(rand.NewPCG(uint64(seed), uint64(n)))))
			default:
				p.Kill()
				killed = true
			}
		}
		p = w.Start(steady(g))
		w.Advance(6 * time.Second)
		operations = w.Operations - begun
		if killed {
			p = w.Start(steady(g))
		}
		finished(w, p, h, bodies, map[string]string{"2 bad": publisher.ReasonPermanent})
		return operations
	}
	for _, of := range []string{"broker", "process"} {
		for _, seed := range []int64{0, 6} {
			doortest.Every(t, fmt.Sprintf("%s/seed=%d/at", of, seed), func(t *testing.T, at int) int { return story(t, seed, of, at) })
		}
	}
}
