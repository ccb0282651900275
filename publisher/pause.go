package publisher

import "fmt"

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
// r.Server().Pause("billing"). Pausing twice is no error.
func (s *Server) Pause(consumer string) error {
	p, err := s.pauser(consumer)
	if err == nil {
		p.Pause()
	}
	return err
}

// Resume undoes [Server.Pause].
func (s *Server) Resume(consumer string) error {
	p, err := s.pauser(consumer)
	if err == nil {
		p.Resume()
	}
	return err
}

// IsPaused reports whether a consumer is paused.
func (s *Server) IsPaused(consumer string) bool {
	p, err := s.pauser(consumer)
	return err == nil && p.IsPaused()
}

func (s *Server) pauser(consumer string) (Pauser, error) {
	if p := s.pausers[consumer]; p != nil {
		return p, nil
	}
	if s.consumers[consumer] == nil {
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
