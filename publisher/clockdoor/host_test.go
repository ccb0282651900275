package clockdoor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/clockdoor"
)

// host is a loop whose time only the test moves.
type host struct {
	t      testing.TB
	now    time.Time
	timers []*timer
	posted []func()
	server *publisher.Server
	door   *clockdoor.Door
	log    strings.Builder

	election *election // of the last clock with a leader
}

// An election is one whose outcome the test decides.
type election struct {
	h         *host
	candidate publisher.Candidate
	claimed   time.Time
	silent    bool // it grants nothing
	over      []bool
	count     int
}

func (e *election) Stand(c publisher.Candidate) { e.candidate = c }
func (e *election) Queue() string               { return "c.clock" }
func (e *election) Trouble() string             { return "" }
func (e *election) Over(at time.Time, ran bool) { e.count++; e.over = append(e.over[:0], ran) }

func (e *election) Claim(at time.Time) {
	if e.claimed = at; !e.silent {
		e.candidate.Granted(at)
	}
}

type timer struct {
	h   *host
	at  time.Time
	set bool
	fn  func()
}

func (t *timer) Stop() bool { was := t.set; t.set = false; return was }
func (t *timer) Reset(d time.Duration) bool {
	was := t.set
	t.at, t.set = t.h.now.Add(d), true
	return was
}

func (h *host) Now() time.Time                     { return h.now }
func (h *host) Since(t time.Time) time.Duration    { return h.Now().Sub(t) }
func (h *host) Post(fn func()) bool                { h.posted = append(h.posted, fn); return true }
func (h *host) Offload(_ uintptr, fn, done func()) { fn(); done() }
func (h *host) Enter(*string)                      {}
func (h *host) After(d time.Duration, fn func()) func() bool {
	t := &timer{h: h, fn: fn}
	t.Reset(d)
	h.timers = append(h.timers, t)
	return t.Stop
}

// begin is when hosts begin: a full hour.
var begin = time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC)

// serve starts the clocks of a registry.
func serve(t testing.TB, registry *publisher.Registry) *host {
	t.Helper()
	h := &host{t: t, now: begin}
	log := zerolog.New(&h.log)
	var err error
	if h.server, err = publisher.NewServer(registry, nil, nil, publisher.Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	h.server.Start(h)
	t.Cleanup(h.server.End)
	if h.door, err = clockdoor.New(h.server, registry.Clocks(), log); err != nil {
		t.Fatal(err)
	}
	if err := h.door.Elect(func(string, string) (publisher.Election, error) {
		h.election = &election{h: h}
		return h.election, nil
	}); err != nil {
		t.Fatal(err)
	}
	h.door.Start(func(turn func()) clockdoor.Timer {
		made := &timer{h: h, fn: turn}
		h.timers = append(h.timers, made)
		return made
	})
	h.advance(0)
	return h
}

// settle does everything that needs no time.
func (h *host) settle() {
	for h.server.RunReady() || len(h.posted) > 0 {
		posted := h.posted
		h.posted = nil
		for _, fn := range posted {
			fn()
		}
	}
}

// due returns the next timer that is due by then.
func (h *host) due(then time.Time) *timer {
	var next *timer
	for _, t := range h.timers {
		if t.set && !t.at.After(then) && (next == nil || t.at.Before(next.at)) {
			next = t
		}
	}
	return next
}

// advance moves time on, as a loop does that has nothing else to do.
func (h *host) advance(d time.Duration) {
	until := h.now.Add(d)
	h.settle()
	for next := h.due(until); next != nil; next = h.due(until) {
		if next.at.After(h.now) {
			h.now = next.at
		}
		next.set = false
		next.fn()
		h.settle()
	}
	h.now = until
}

// stall moves time on while the loop does nothing; then it goes on.
func (h *host) stall(d time.Duration) {
	h.now = h.now.Add(d)
	h.advance(0)
}

// set sets the clock of the machine, which timers do not see.
func (h *host) set(by time.Duration) {
	h.now = h.now.Add(by)
	for _, t := range h.timers {
		t.at = t.at.Add(by)
	}
}

// metric is a number of the clock "c".
func (h *host) metric(name string) float64 {
	h.t.Helper()
	for _, m := range h.server.Metrics() {
		if m.Name == name && m.Labels[0].Value == "c" {
			return m.Value
		}
	}
	h.t.Fatalf("no metric %s", name)
	return 0
}

// numbers checks metrics by their names, without clock_ and _total.
func (h *host) numbers(want map[string]float64) {
	h.t.Helper()
	for name, value := range want {
		if got := h.metric("clock_" + name + "_total"); got != value {
			h.t.Errorf("%s: %v, want %v", name, got, value)
		}
	}
}

// job is a handler that waits until the test ends it.
type job struct {
	begun []time.Time // what its calls were scheduled for
	ends  []func(error)
}

func (j *job) handle(r *publisher.Request) error {
	j.begun = append(j.begun, r.Scheduled())
	return r.Await(func(done func(error)) { j.ends = append(j.ends, done) })
}

// end ends the call that has waited longest.
func (j *job) end(h *host, err error) {
	h.t.Helper()
	if len(j.ends) == 0 {
		h.t.Fatal("no call waits")
	}
	j.ends[0](err)
	j.ends = j.ends[1:]
	h.advance(0)
}
