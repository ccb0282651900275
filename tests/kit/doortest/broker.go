package doortest

import (
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/journal"
)

// brokerHost is the world as one broker sees it.
type brokerHost struct {
	w    *World
	dead bool
}

func (h *brokerHost) Now() time.Time     { return h.w.Clock.Now() }
func (h *brokerHost) WakeAt(t time.Time) { h.w.Clock.After(t.Sub(h.w.Clock.Now()), h.tick) }
func (h *brokerHost) Note(broker.Event)  {}

func (h *brokerHost) Post(fn func()) {
	if !h.dead {
		h.w.todo = append(h.w.todo, fn)
	}
}

func (h *brokerHost) Offload(fn, done func()) {
	if !h.dead {
		h.w.disk = append(h.w.disk, func() { fn(); done() })
	}
}

func (h *brokerHost) tick() {
	if h.dead || h.w.frozen {
		return // Thaw wakes it
	}
	if next := h.w.Broker.Tick(h.w.Clock.Now()); !next.IsZero() {
		h.WakeAt(next)
	}
}

func (w *World) startBroker() {
	w.T.Helper()
	w.host = &brokerHost{w: w}
	m := &memory{taken: map[*byte][]byte{}}
	w.options.Allocate, w.options.Free = m.allocate, m.release
	s, err := broker.New(w.options, w.host)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Broker = s
	w.T.Cleanup(func() {
		_ = s.CloseStore() // else its writer keeps everything that the broker holds
		m.end()
	})
	w.host.tick()
}

// CrashBroker takes the power away from the broker now, and starts it again with
// what its disk has left: Options.Files, a crashfs.FS after FS.Crash or FS.Kill.
// OnOperation may call it.
func (w *World) CrashBroker(after journal.FS) {
	w.after, w.host.dead = after, true
	for _, p := range w.processes {
		if p.wire != nil {
			p.wire.Abort(ErrCut)
		}
	}
}

// restartBroker does the rest of CrashBroker when no machine is in the middle of
// something.
func (w *World) restartBroker() {
	w.options.Files, w.after = w.after, nil
	for _, l := range w.links {
		l.Cut(ErrCut)
	}
	w.observer, w.todo, w.disk = nil, nil, nil
	w.startBroker()
}
