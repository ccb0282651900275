package doortest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/journal"
	"zamqp/tests/kit/wiretest"
)

// ErrCut is what ends a connection that the test has cut.
var ErrCut = errors.New("doortest: the wire was cut")

// World is a broker and the processes that talk to it.
type World struct {
	T      testing.TB
	Clock  *wiretest.Clock
	Broker *broker.Server

	// Operations of the processes' wires so far: a Feed or a write of either side.
	Operations int
	// CutAt cuts the wire that does the operation with this number, right after it;
	// 0 is never.
	CutAt int
	// OnOperation, if set, is called after each operation with its number. It may
	// kill the process.
	OnOperation func(n int)
	// Down refuses the dials of processes.
	Down bool
	// SlowDisk delays the broker's work on its disk, with DataDir. Meanwhile it
	// confirms no persistent message, but all others.
	SlowDisk bool

	options   broker.Options
	host      *brokerHost
	seed      int64
	frozen    bool
	thawed    []*wiretest.Wire // woken while time stands still: waits for Settle
	links     []*wiretest.Link
	processes []*Process
	observer  *observer
	todo      []func()   // of the broker
	disk      []func()   // of the broker, while it is slow
	after     journal.FS // what the broker's power loss has left; nil = no crash to come
}

// New returns a world with a broker and no process. The seed is for the wires: 0 is
// calm, others cut the octets anywhere.
func New(t testing.TB, seed int64, o broker.Options) *World {
	t.Helper()
	w := &World{T: t, Clock: wiretest.NewClock(), options: o, seed: seed}
	w.startBroker()
	return w
}

// settleMax limits what happens at one instant. If machines answer each other for ever, that
// is a finding, and the test must not hang.
const settleMax = 100_000

// Settle lets all machines do what they can do without time passing.
func (w *World) Settle() {
	w.T.Helper()
	for range settleMax {
		busy := w.turn()
		for _, p := range append([]*Process(nil), w.processes...) {
			busy = p.turn() || busy
		}
		if !busy {
			return
		}
	}
	w.T.Fatalf("doortest: still busy after %d turns without time passing (seed %d)", settleMax, w.seed)
}

// turn serves the wires and the broker.
func (w *World) turn() (busy bool) {
	w.T.Helper()
	if w.after != nil {
		w.restartBroker()
		busy = true
	}
	open := w.links[:0]
	for _, l := range w.links {
		if !l.Over() {
			open = append(open, l)
		}
	}
	w.links = open
	for _, l := range append([]*wiretest.Link(nil), w.links...) {
		busy = l.Run() > 0 || busy
	}
	if !w.SlowDisk {
		w.todo = append(w.todo, w.disk...)
		w.disk = nil
	}
	for len(w.todo) > 0 && !w.frozen {
		next := w.todo[0]
		w.todo = w.todo[1:]
		next()
		busy = true
	}
	return busy
}

// Advance moves time forward. Whatever becomes due happens at its own instant, with
// everything that follows from it, before time goes on.
func (w *World) Advance(d time.Duration) {
	w.T.Helper()
	target := w.Clock.Now().Add(d)
	w.Settle()
	for spins := 0; ; {
		next := w.Clock.Next()
		if next.IsZero() || next.After(target) {
			break
		}
		if step := next.Sub(w.Clock.Now()); step > 0 {
			spins = 0
			w.Clock.Advance(step)
		} else if spins++; spins > 10_000 {
			w.T.Fatalf("doortest: something is due at %v again and again (seed %d)", next.Sub(wiretest.Epoch), w.seed)
		} else {
			w.Clock.Advance(0)
		}
		w.Settle()
	}
	w.Clock.Advance(target.Sub(w.Clock.Now()))
	w.Settle()
}

// Until advances in steps until holds returns true. It fails the test after most.
func (w *World) Until(what string, most time.Duration, holds func() bool) {
	w.T.Helper()
	w.Settle()
	for end := w.Clock.Now().Add(most); !holds(); {
		if !w.Clock.Now().Before(end) {
			w.T.Fatalf("doortest: %s: not within %v (seed %d, cut at %d of %d)", what, most, w.seed, w.CutAt, w.Operations)
		}
		w.Advance(10 * time.Millisecond)
	}
}

// Freeze stops the broker as SIGSTOP does: its connections stay, it keeps what is
// sent to it, and it answers nothing.
func (w *World) Freeze() { w.Settle(); w.frozen = true }

// Thaw lets a frozen broker go on.
func (w *World) Thaw() {
	w.frozen = false
	for _, wire := range w.thawed {
		wire.Wake()
	}
	w.thawed = nil
	w.host.tick()
}

// Cut ends the connections of all processes at once.
func (w *World) Cut() {
	for _, p := range w.processes {
		if p.link != nil {
			p.link.Cut(ErrCut)
		}
	}
}

// EveryCut runs a story on an undisturbed wire, and then once for each of its
// operations, with the wire cut after that one. story makes its world by calling
// world, and returns the number of operations in which a cut is of interest.
func EveryCut(t *testing.T, seed int64, story func(t *testing.T, world func(o broker.Options) *World) (operations int)) {
	t.Helper()
	Every(t, fmt.Sprintf("seed=%d/cut", seed), func(t *testing.T, at int) int {
		return story(t, func(o broker.Options) *World {
			w := New(t, seed, o)
			w.CutAt = at
			return w
		})
	})
}

// Every runs a story undisturbed (0), and then once for each of the moments that
// the first run counted, until one fails.
func Every(t *testing.T, name string, story func(t *testing.T, at int) (moments int)) {
	t.Helper()
	moments := 0
	ok := t.Run(name+"=0", func(t *testing.T) { moments = story(t, 0) })
	for at := 1; ok && at <= moments; at++ {
		ok = t.Run(fmt.Sprintf("%s=%d", name, at), func(t *testing.T) { story(t, at) })
	}
}
