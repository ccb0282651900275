package publisher

import (
	"fmt"
	"slices"
)

// A Pauser is a consumer at a door.
type Pauser interface {
	Pause()
	Resume()
	IsPaused() bool
}

// BindConsumer gives the server access to a consumer. A door calls it.
func (s *Server) BindConsumer(name string, p Pauser) { s.pausers[name] = p }

// Pause stops the deliveries to a consumer until [Server.Resume] or the end of the process.
// Messages in hand are finished. Loop thread only: from a handler,
// r.Server().Pause("billing"). Pausing twice is no error. With consuming servers, "billing"
// is the consumer in all of them, and "billing@eu" that of one.
func (s *Server) Pause(consumer string) error {
	all, err := s.pausersOf(consumer)
	for _, p := range all {
		p.Pause()
	}
	return err
}

// Resume undoes [Server.Pause].
func (s *Server) Resume(consumer string) error {
	all, err := s.pausersOf(consumer)
	for _, p := range all {
		p.Resume()
	}
	return err
}

// IsPaused reports whether a consumer is paused, in all consuming servers that have it.
func (s *Server) IsPaused(consumer string) bool {
	all, err := s.pausersOf(consumer)
	running := slices.ContainsFunc(all, func(p Pauser) bool { return !p.IsPaused() })
	return err == nil && !running
}

// pausersOf are the instances of a consumer, at least one if there is no error.
func (s *Server) pausersOf(consumer string) (all []Pauser, err error) {
	names := s.instances(consumer)
	for _, name := range names {
		if p := s.pausers[name]; p != nil {
			all = append(all, p)
		}
	}
	name, _ := SplitInstance(consumer)
	switch {
	case len(all) > 0:
		return all, nil
	case len(names) == 0 && consumerKind.in(s.registry)[name] == nil:
		return nil, fmt.Errorf("no such consumer: register it by publisher.Consume(%q, …)", consumer)
	}
	return nil, fmt.Errorf("consumer %q is not consumed from", consumer)
}

// Pause is [Server.Pause].
func (r *Request) Pause(consumer string) error {
	return r.do(func(r *Request) error { return r.server.Pause(consumer) })
}

// Resume is [Server.Resume].
func (r *Request) Resume(consumer string) error {
	return r.do(func(r *Request) error { return r.server.Resume(consumer) })
}
