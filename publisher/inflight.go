package publisher

import (
	"fmt"
	"net/http"
	"slices"
)

// MaxInFlight is a middleware for [Use] that lets at most max of the calls that pass through it run
// at once, whatever their handlers and sources are:
//
//	publisher.Use(publisher.MaxInFlight(4), "POST /reports", "consumer reports")
//
// One HTTP request more is answered with 503 and Retry-After, and its handler does not run. A
// message or a tick of a clock waits until one of the others has ended, in the order of arrival:
// the prefetch of a consumer bounds how many wait, and a refusal would cost an attempt. The wait
// ends with the call's time limit, and in a drain.
//
// A call is in flight while its handler runs, waits included, and not during its commit or a
// [Request.Stream]. Each value counts by itself, in each server. MaxInFlight panics if max is
// less than one.
func MaxInFlight(max int) func(next Handler) Handler {
	if max < 1 {
		panic(fmt.Sprintf("publisher: MaxInFlight(%d): at least one call has to run", max))
	}
	l := &inFlight{max: max}
	return func(next Handler) Handler {
		return func(r *Request) error {
			s := r.server.slotsOf(l)
			if err := s.take(r); err != nil {
				return err
			}
			defer s.give()
			return next(r)
		}
	}
}

// An inFlight is one limit. Its slots are each server's own.
type inFlight struct{ max int }

// slots are those of one limit in one server. Loop thread only.
type slots struct {
	free int
	line []*pause // calls that wait for a slot, in order
}

func (s *Server) slotsOf(l *inFlight) *slots {
	if known := s.slots[l]; known != nil {
		return known
	}
	if s.slots == nil {
		s.slots = map[*inFlight]*slots{}
	}
	made := &slots{free: l.max}
	s.slots[l] = made
	return made
}

var errInFlight = Errorf(http.StatusServiceUnavailable, "too many calls at once").With(retryAfter, "1")

// take takes a slot for a call.
func (s *slots) take(r *Request) error {
	switch {
	case s.free > 0:
		s.free--
		return nil
	case r.source.hasClient():
		return errInFlight
	}
	return r.await(func(_ *Request, p *pause) error {
		s.line = append(s.line, p)
		p.stop = func() { s.line = slices.DeleteFunc(s.line, func(other *pause) bool { return other == p }) }
		return nil
	})
}

// give gives a slot back, to the first call in line if there is one.
func (s *slots) give() {
	if len(s.line) == 0 {
		s.free++
		return
	}
	first := s.line[0]
	s.line = slices.Delete(s.line, 0, 1)
	first.end(nil)
}
