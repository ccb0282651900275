package amqpdoor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/wiretest"
)

// ticking are processes with the same clock, which ticks each ten seconds.
type ticking struct {
	t     *testing.T
	w     *doortest.World
	clock publisher.Clock
	takes time.Duration // of a tick
	begun map[time.Time][]string
	ended map[time.Time]int
	logs  []*strings.Builder
}

const tickEvery = 10 * time.Second

func newTicking(t *testing.T, w *doortest.World, dedupe bool) *ticking {
	return &ticking{t: t, w: w, clock: publisher.Clock{Period: tickEvery, Leader: publisher.DefaultConnection, Dedupe: dedupe}, begun: map[time.Time][]string{}, ended: map[time.Time]int{}}
}

// start starts a process that notes its ticks under its name.
func (k *ticking) start(name string) *doortest.Process {
	g := publisher.NewRegistry()
	g.Every("report", k.clock, func(r *publisher.Request) error {
		at := r.Scheduled().UTC()
		k.begun[at] = append(k.begun[at], name)
		if k.takes > 0 {
			if err := r.Sleep(k.takes); err != nil {
				return err
			}
		}
		k.ended[at]++
		return nil
	})
	p := k.w.Start(doortest.Setup{Registry: g, Client: client.Config{Heartbeat: 5 * time.Second, BackoffMax: time.Second}})
	k.logs = append(k.logs, p.Log)
	return p
}

// check compares the ticks with the schedule, from the first tick until now.
func (k *ticking) check(most int) {
	k.t.Helper()
	var first time.Time
	for at := range k.begun {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	until := k.w.Clock.Now().Add(-tickEvery)
	for at := first; at.Before(until); at = at.Add(tickEvery) {
		if n := len(k.begun[at]); n > most || n == 0 && !k.unfinished(at) {
			k.t.Errorf("%d ticks of %s: %v (most is %d)", n, at.Sub(wiretest.Epoch), k.begun[at], most)
		}
	}
	for at, by := range k.begun {
		if len(by) > most {
			k.t.Errorf("%s: %v", at.Sub(wiretest.Epoch), by)
		}
	}
}

// unfinished reports whether a leader has logged that it does not repeat this tick, which
// another one has claimed.
func (k *ticking) unfinished(at time.Time) bool {
	for _, log := range k.logs {
		if strings.Contains(log.String(), `"scheduled":"`+at.Format(time.RFC3339)+`","repeated":false`) {
			return true
		}
	}
	return false
}

// by counts the ticks since then by the process that has made them.
func (k *ticking) by(since time.Time) map[string]int {
	all := map[string]int{}
	for at, names := range k.begun {
		if at.After(since) {
			for _, name := range names {
				all[name]++
			}
		}
	}
	return all
}

// TestOneProcessTicks: only one of three processes ticks. When it is killed, another one does.
func TestOneProcessTicks(t *testing.T) {
	for _, dedupe := range []bool{false, true} {
		for seed := range int64(4) {
			t.Run(fmt.Sprintf("dedupe=%v/seed=%d", dedupe, seed), func(t *testing.T) {
				w := doortest.New(t, seed, broker.Options{})
				k := newTicking(t, w, dedupe)
				a := k.start("a")
				w.Advance(time.Second)
				b := k.start("b")
				k.start("c")
				w.Advance(3 * time.Minute)
				if got := k.by(time.Time{}); got["a"] < 17 || len(got) != 1 {
					t.Fatalf("%v", got)
				}
				a.Kill()
				killed := w.Clock.Now()
				w.Advance(3 * time.Minute)
				if got := k.by(killed); len(got) != 1 || got["a"] != 0 {
					t.Errorf("%v", got)
				}
				b.Kill()
				w.Advance(3 * time.Minute)
				if got := k.by(killed); len(got) != 2 || got["a"] != 0 {
					t.Errorf("%v", got)
				}
				k.check(1)
				if n := w.Messages("report.clock"); n != 1 {
					t.Errorf("%d messages", n)
				}
				for _, want := range []string{`"message":"this process is the leader of a clock: it ticks"`, `"queue":"report.clock"`} {
					if !strings.Contains(a.Log.String(), want) {
						t.Errorf("%s", a.Log)
					}
				}
			})
		}
	}
}

// TestTicksThroughCuts: wherever the wires are cut, each tick is made, and with dedupe none
// twice.
func TestTicksThroughCuts(t *testing.T) {
	for _, dedupe := range []bool{false, true} {
		t.Run(fmt.Sprintf("dedupe=%v", dedupe), func(t *testing.T) {
			doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
				w := world(broker.Options{})
				k := newTicking(t, w, dedupe)
				k.takes = time.Second
				k.start("a")
				k.start("b")
				w.Advance(35 * time.Second)
				operations := w.Operations
				w.Advance(time.Minute)
				k.check(k.most())
				return operations
			})
		})
	}
}

// most is how often a tick may run: a leader that has lost its connection ends the tick that
// it has begun, and without dedupe the next leader repeats it.
func (k *ticking) most() int {
	if k.clock.Dedupe {
		return 1
	}
	return 2
}

// TestTicksThroughKills: whenever the leader is killed, each tick is made to its end, at most
// twice; with dedupe it is begun once.
func TestTicksThroughKills(t *testing.T) {
	for _, dedupe := range []bool{false, true} {
		t.Run(fmt.Sprintf("dedupe=%v", dedupe), func(t *testing.T) {
			doortest.Every(t, "kill", func(t *testing.T, at int) int {
				w := doortest.New(t, 0, broker.Options{})
				k := newTicking(t, w, dedupe)
				k.takes = time.Second
				a := k.start("a")
				w.Advance(time.Second)
				k.start("b")
				w.Advance(15 * time.Second)
				before := w.Operations
				if at > 0 {
					w.OnOperation = func(n int) {
						if n == before+at {
							a.Kill()
						}
					}
				}
				w.Advance(20 * time.Second)
				moments := w.Operations - before
				w.Advance(time.Minute)
				k.check(k.most())
				if len(k.by(time.Time{})) != min(at, 1)+1 {
					t.Errorf("%v", k.by(time.Time{}))
				}
				for at := range k.begun {
					if k.ended[at] == 0 && !dedupe {
						t.Errorf("%s was not made to its end", at.Sub(wiretest.Epoch))
					}
				}
				return moments
			})
		})
	}
}

// TestLeaderDrains: when the leader stops, another process is the leader at once. A tick that
// runs ends first, and is not repeated.
func TestLeaderDrains(t *testing.T) {
	for _, takes := range []time.Duration{0, 3 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			w := doortest.New(t, 0, broker.Options{})
			k := newTicking(t, w, false)
			k.takes = takes
			a := k.start("a")
			w.Advance(time.Second)
			b := k.start("b")
			w.Until("a tick", time.Minute, func() bool { return len(k.begun) == 2 })
			a.Server.BeginDrain()
			a.Shutdown(takes + 100*time.Millisecond)
			w.Until("the other one takes over", 100*time.Millisecond, func() bool { return strings.Contains(b.Log.String(), "the leader of a clock: it ticks") })
			if !strings.Contains(a.Log.String(), `"reason":"the server drains"`) {
				t.Errorf("%s", a.Log)
			}
			w.Advance(time.Minute)
			k.check(1)
			if got := k.by(time.Time{}); got["a"] != 2 || got["b"] < 5 {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestTicksOverRestarts: while no process runs, the broker keeps which ticks were made. All
// missed ticks become one.
func TestTicksOverRestarts(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	k := newTicking(t, w, true)
	a := k.start("a")
	w.Until("two ticks", time.Minute, func() bool { return len(k.begun) == 2 })
	w.Advance(time.Second)
	a.Server.BeginDrain()
	a.Shutdown(time.Second)
	w.Advance(65 * time.Second)
	began := w.Clock.Now()
	b := k.start("b")
	w.Advance(time.Second)
	if len(k.begun) != 3 || !strings.Contains(b.Log.String(), `"ticks":5`) {
		t.Errorf("%v: %s", k.begun, b.Log)
	}
	for at := range k.begun {
		if at.After(began) {
			t.Errorf("%s after %s", at, began)
		}
	}
}

// TestQueueOfAClock: the queue is deleted, or purged, or others publish to it. The clock goes
// on within a minute or so.
func TestQueueOfAClock(t *testing.T) {
	for name, disturb := range map[string]func(w *doortest.World){
		"deleted": func(w *doortest.World) { w.Delete("report.clock") },
		"strange": func(w *doortest.World) {
			for _, body := range []string{"", "hello", "a b c d e", "a 1 2 done x", "a 1 0 begun 2026-01-02T03:04:05Z", "x:1:1 1 99 begun 2026-01-02T03:04:05Z"} {
				w.Put("report.clock", publisher.Publishing{Body: []byte(body)})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := doortest.New(t, 0, broker.Options{})
			k := newTicking(t, w, false)
			k.start("a")
			k.start("b")
			w.Advance(30 * time.Second)
			disturb(w)
			w.Advance(2 * time.Minute)
			since := w.Clock.Now()
			w.Advance(time.Minute)
			if got := k.by(since); len(got) != 1 || got["a"]+got["b"] < 5 {
				t.Errorf("%v", got)
			}
			k.check(1)
		})
	}
}

// TestBrokerHangs: while the broker answers nothing, no tick is made, and none is lost.
func TestBrokerHangs(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	k := newTicking(t, w, false)
	k.start("a")
	k.start("b")
	w.Advance(25 * time.Second)
	n := len(k.begun)
	w.Freeze()
	w.Advance(40 * time.Second)
	if len(k.begun) != n {
		t.Errorf("%d ticks without the broker", len(k.begun)-n)
	}
	w.Thaw()
	w.Advance(30 * time.Second)
	since := w.Clock.Now()
	w.Advance(time.Minute)
	if got := k.by(since); len(got) != 1 || got["a"]+got["b"] < 5 {
		t.Errorf("%v", got)
	}
	for at, by := range k.begun {
		if len(by) != 1 {
			t.Errorf("%s: %v", at, by)
		}
	}
}
