package loop_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"zamqp/loop"
)

func TestTimersRunInOrder(t *testing.T) {
	r := start(t, loop.Options{TimerTurnMax: 7})
	const n = 200
	rng := rand.New(rand.NewPCG(11, 1))
	type fired struct{ ms, order int }
	var got []fired
	stopped := 0
	r.do(func() {
		for i := range n {
			at := fired{rng.IntN(20), i}
			timer := r.After(time.Duration(at.ms)*time.Millisecond, func() { got = append(got, at) })
			if i%5 == 0 {
				if !timer.Stop() || timer.Stop() {
					t.Error("Stop does not say whether the timer waited")
				}
				stopped++
			}
		}
	})
	r.until("all timers", func() bool { return len(got) == n-stopped })
	if !slices.IsSortedFunc(got, func(a, b fired) int {
		if a.ms != b.ms {
			return a.ms - b.ms
		}
		return a.order - b.order
	}) {
		t.Errorf("order: %v", got)
	}
}

func TestTimerResets(t *testing.T) {
	r := start(t, loop.Options{})
	var order []string
	r.do(func() {
		a := r.After(time.Hour, func() { order = append(order, "a") })
		b := r.After(2*time.Millisecond, func() { order = append(order, "b") })
		if !a.Reset(time.Millisecond) || !b.Reset(3*time.Millisecond) {
			t.Error("Reset of a waiting timer says that it did not wait")
		}
		var c *loop.Timer
		c = r.After(4*time.Millisecond, func() {
			order = append(order, "c")
			if len(order) == 3 && c.Reset(0) {
				t.Error("Reset of a timer that has run says that it waited")
			}
		})
	})
	r.until("all timers", func() bool { return len(order) == 4 })
	if !slices.Equal(order, []string{"a", "b", "c", "c"}) {
		t.Errorf("%v", order)
	}
}

// A timer that always makes another one for now must not keep the loop from its other work.
func TestTimerOfNowDoesNotHoldTheTurn(t *testing.T) {
	r := start(t, loop.Options{})
	runs, stop := 0, false
	var again func()
	again = func() {
		if runs++; !stop {
			r.After(0, again)
		}
	}
	r.do(again)
	r.until("some turns", func() bool { return runs > 10 })
	r.do(func() { stop = true })
}

func TestTimerPanic(t *testing.T) {
	reports := make(chan *loop.PanicError, 2)
	r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { reports <- e }})
	ran := make(chan struct{})
	r.do(func() {
		r.After(0, func() { panic("boom") })
		r.After(0, func() { close(ran) })
	})
	if e := wait(t, reports, "the report"); e.Doing != "timer" || e.Value != "boom" {
		t.Error(e)
	}
	wait(t, ran, "the timer after it")
}

// TestManyTimersInSlices: of very many timers that are due together, so many run in a turn, and of
// posted functions alike.
func TestManyTimersInSlices(t *testing.T) {
	const n, most = 100_000, 256
	r := start(t, loop.Options{})
	for name, add := range map[string]func(fn func()){
		"timers":           func(fn func()) { r.After(time.Millisecond, fn) },
		"posted functions": func(fn func()) { r.Post(fn) },
	} {
		ran, inTurn := 0, 0
		var turn time.Time
		r.do(func() {
			for range n {
				add(func() {
					if now := r.Now(); now != turn {
						turn, inTurn = now, 0
					}
					if inTurn++; inTurn == most+1 {
						t.Errorf("more than %d %s in one turn", most, name)
					}
					ran++
				})
			}
		})
		r.until(name, func() bool { return ran == n })
	}
}
