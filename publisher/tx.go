package publisher

import (
	"fmt"
)

// A Publication is a publish on its way to the broker. Its slices, and its
// strings, belong to the transaction and die when its confirm has come.
type Publication struct {
	Exchange      string
	RoutingKey    string
	Mandatory     bool
	RawProperties []byte // flags and values as on the wire
	Body          []byte
	Tx            *Tx // that it is a part of
}

// Group is what all publishes of one call have in common; nil for none.
func (p *Publication) Group() any {
	if p.Tx == nil {
		return nil
	}
	return p.Tx
}

// A Confirmer is called once with the outcome of a publish, on the loop's thread and
// never inside Send: nil when the broker has taken responsibility for it.
type Confirmer interface{ Confirmed(err error) }

// A Sender hands publishes to a broker. An error from Send means that nothing
// was kept and done will not be called.
type Sender interface {
	Send(p *Publication, done Confirmer) error
}

// A Foreseer is a Sender that can say what it would refuse now. Foresee is called
// before a participant commits, with the number of publishes, their octets together,
// and the octets of the last one. nil promises nothing.
type Foreseer interface {
	Foresee(count, octets, size int) error
}

// A Tx is the transaction of one call: the joined participants and the
// publishes that leave when it commits. The message, if there is one, is
// settled by its outcome.
type Tx struct {
	participants []Participant
	gets         []func(ack bool) // of messages got from queues
	prepared     int              // participants whose Commit has been called
	pubs         []publication
	arena        []byte // encoded properties and bodies of pubs
	table        []byte // scratch: a headers table before it is put into its place
	id           []byte // scratch: a derived message id
	waiting      int    // confirms to come
	ending       bool   // a participant's Commit or Abort runs
	err          error  // the first publish that failed while it was built
}

// publication is a Publication in the making: its slices are known as offsets
// until the arena has stopped growing.
type publication struct {
	Publication
	request                *Request
	sender                 Sender
	propsAt, bodyAt, endAt int
	large                  []byte // the body, apart from the arena
	name                   string // of the producer, for errors
	err                    error
}

func (t *Tx) reset() {
	clear(t.participants)
	clear(t.pubs)
	t.participants, t.pubs, t.arena = t.participants[:0], t.pubs[:0], t.arena[:0]
	t.prepared, t.waiting, t.err, t.ending = 0, 0, nil, false
}

// commit runs the steps in their order: participants prepare, then commit; the
// publishes go out in order; their confirms are awaited.
func (r *Request) commit() error {
	t := &r.tx
	if r.response.err != nil {
		return r.response.err
	}
	if t.err != nil {
		return t.err
	}
	for _, p := range t.participants {
		if err := p.Prepare(r); err != nil {
			return err
		}
	}
	if len(t.participants) > 0 {
		if err := t.foresee(); err != nil {
			return err
		}
	}
	for _, p := range t.participants {
		t.prepared++
		if err := r.commitOne(p); err != nil {
			if t.prepared > 1 { // no conflict any more: another run would commit the first ones twice
				return fmt.Errorf("commit, after others have committed: %v", err)
			}
			return fmt.Errorf("commit: %w", err)
		}
	}
	if err := r.send(); err != nil {
		return err
	}
	t.settleGets(true)
	return nil
}

// foresee refuses what is known to fail, before a participant has committed: the
// publishes leave only after that, and cannot take it back.
func (t *Tx) foresee() error {
	octets := 0
	for i := range t.pubs {
		p := &t.pubs[i]
		size := len(p.Exchange) + len(p.RoutingKey) + p.endAt - p.propsAt + len(p.large)
		octets += size
		if s, ok := p.sender.(Foreseer); ok {
			if err := s.Foresee(i+1, octets, size); err != nil {
				return p.failure(err)
			}
		}
	}
	return nil
}

// commitOne runs a participant's Commit. What it offloads does not wait for work
// that may want what it holds.
func (r *Request) commitOne(p Participant) error {
	r.tx.ending = true
	defer func() { r.tx.ending = false }()
	return p.Commit(r)
}

// send lets the publishes leave and waits until each is confirmed or failed.
// The wait cannot be cancelled: the broker has them, and their bytes are ours.
func (r *Request) send() error {
	t := &r.tx
	var first error
	for i := range t.pubs {
		p := &t.pubs[i]
		p.request = r
		p.RawProperties = t.arena[p.propsAt:p.bodyAt]
		if p.Body = p.large; p.Body == nil {
			p.Body = t.arena[p.bodyAt:p.endAt]
		}
		p.Tx = t
		if err := p.sender.Send(&p.Publication, p); err != nil {
			first = p.failure(err)
			break // the order would be broken by sending the next ones
		}
		t.waiting++
	}
	for t.waiting > 0 {
		r.park()
	}
	for i := range t.pubs {
		if err := t.pubs[i].err; err != nil {
			return t.pubs[i].failure(err)
		}
	}
	return first
}

func (p *publication) failure(err error) error {
	return fmt.Errorf("publish %s: %w: %w", p.name, ErrUnavailable, err)
}

// Confirmed is called with the outcome of one publish.
func (p *publication) Confirmed(err error) {
	p.err = err
	r := p.request
	if r.tx.waiting--; r.tx.waiting == 0 {
		r.wake()
	}
}

// abort undoes what the participants have not committed.
func (r *Request) abort() {
	r.tx.ending = true
	for _, p := range r.tx.participants[r.tx.prepared:] {
		if err := guard(func() error { p.Abort(r); return nil }); err != nil {
			r.server.log.Error().Err(err).Stringer("call", r).Msg("a participant could not abort")
		}
	}
	r.tx.settleGets(false)
	r.tx.reset()
}
