package publisher

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/rs/zerolog"
)

// member is an element of a list that knows its place in it, as a call does.
type member struct {
	at     int
	visits int
	left   bool
}

// members is a list from which elements leave as calls leave [Server.live].
type members []*member

func (l *members) add() *member {
	p := &member{at: len(*l)}
	*l = append(*l, p)
	return p
}

func (l *members) leave(p *member) {
	last := len(*l) - 1
	(*l)[p.at] = (*l)[last]
	(*l)[p.at].at = p.at
	*l = (*l)[:last]
	p.left = true
}

// TestWalkInSlices: a walk over a million elements visits each that stays, and no more than a
// slice of them in a turn, while elements come and leave.
func TestWalkInSlices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, actsEach := range []int{0, 1, 3} { // none, each, one of three
		loop := &turns{}
		s := &Server{runtime: loop}
		var list members
		n := 1_000_000
		if actsEach > 0 {
			n /= 10
		}
		first := make([]*member, n)
		for i := range first {
			first[i] = list.add()
		}
		looks, acts, over := 0, 0, false
		w := &walk[*member]{server: s, list: (*[]*member)(&list), left: n, visit: func(p *member) bool {
			p.visits++
			looks++
			if rng.IntN(8) == 0 {
				list.leave(p)
			}
			if actsEach == 0 || looks%actsEach != 0 {
				return false
			}
			acts++
			return true
		}, over: func() { over = true }}
		w.run()
		for more := true; more; more = loop.turn() {
			if looks > walkLooks || acts > walkActs {
				t.Fatalf("%d visited in one turn, %d with work", looks, acts)
			}
			looks, acts = 0, 0
			for range 100 { // between two turns
				if rng.IntN(2) == 0 {
					list.add()
				} else if len(list) > 0 {
					list.leave(list[rng.IntN(len(list))])
				}
			}
		}
		if !over {
			t.Fatal("the end was not told")
		}
		for i, p := range first {
			if p.visits == 0 && !p.left {
				t.Fatalf("element %d was not visited", i)
			}
		}
	}
}

// held is a door for calls that wait until they are cancelled.
type held struct{ done, turn int }

func (h *held) Done(*Call) { h.done++; h.turn++ }

// holdCalls is a server with n calls that wait.
func holdCalls(t *testing.T, n int) (*Server, *turns, *held) {
	g := NewRegistry()
	g.Handle("GET /wait", func(r *Request) error { return r.Await(func(func(error)) {}) })
	s, err := NewServer(g, nil, nil, Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	loop, door := &turns{}, &held{}
	s.Start(loop)
	t.Cleanup(s.Close)
	for range n {
		c := s.NewCall()
		c.SetHTTP([]byte("GET"), []byte("/wait"), []byte("localhost"), nil, nil)
		s.Dispatch(c, door)
	}
	if s.Live() != n {
		t.Fatalf("%d calls wait, not %d", s.Live(), n)
	}
	return s, loop, door
}

// TestCancelInSlices: no turn cancels, or resumes, more calls than a slice.
func TestCancelInSlices(t *testing.T) {
	const n = 10_000
	for name, cancel := range map[string]func(s *Server){
		"all":   func(s *Server) { s.CancelAll(ErrShutdown) },
		"older": func(s *Server) { s.CancelOlder(s.Now().Add(1), context.DeadlineExceeded) },
	} {
		s, loop, door := holdCalls(t, n)
		cancelled := func() (sum int) {
			for _, r := range s.live {
				if r.cancelled != nil {
					sum++
				}
			}
			return sum
		}
		cancel(s)
		if got := cancelled(); got == 0 || got > walkActs {
			t.Errorf("%s: %d calls were cancelled in one turn", name, got)
		}
		cancel(s) // again, in the middle
		most := 0
		for more := true; more; {
			before := door.done
			more = s.RunReady()
			most = max(most, door.done-before)
			more = loop.turn() || more
		}
		if most > walkActs {
			t.Errorf("%s: %d calls were resumed at once", name, most)
		}
		if door.done != n || s.Live() != 0 {
			t.Errorf("%s: %d calls ended of %d, %d are live", name, door.done, n, s.Live())
		}
	}
}

// TestEndCancelsEverythingAtOnce, because no turn follows.
func TestEndCancelsEverythingAtOnce(t *testing.T) {
	const n = 2 * walkLooks
	s, loop, _ := holdCalls(t, n)
	for range n {
		s.takeOver(&hijacked{server: s, cancel: func(error) {}, closed: func() {}, close: func() {}})
	}
	s.End()
	for _, r := range s.live {
		if !errors.Is(r.cancelled, ErrShutdown) {
			t.Fatal("a call was not cancelled")
		}
	}
	if len(loop.next) > 0 {
		t.Error("work was left for a turn that does not come")
	}
	for s.RunReady() {
	}
}

// TestHijackedInSlices: the same for connections that handlers have taken over.
func TestHijackedInSlices(t *testing.T) {
	const n = 100_000
	s, loop, _ := holdCalls(t, 0)
	cancelled, left := 0, 0
	all := make([]*hijacked, n)
	for i := range all {
		all[i] = &hijacked{server: s, cancel: func(error) { cancelled++ }, closed: func() { left++ }}
		s.takeOver(all[i])
	}
	s.BeginDrain()
	for sum, more := 0, true; more; more = loop.turn() {
		if cancelled > walkActs {
			t.Fatalf("%d contexts were cancelled in one turn", cancelled)
		}
		if sum += cancelled; sum < n/2 && len(loop.next) == 0 {
			t.Fatalf("the drain stops after %d", sum)
		}
		cancelled = 0
	}
	for i := range all {
		s.forget(all[(i*7+3)%n])
	}
	if left != n || s.Hijacked() != 0 {
		t.Errorf("%d have left, %d are there", left, s.Hijacked())
	}
}
