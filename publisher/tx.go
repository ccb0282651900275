package publisher

import (
	"errors"
	"fmt"

	"zamqp/publisher/crashpoint"
)

// A Publication is a publish on its way to the broker. Its slices and strings belong to the
// transaction, and are valid until the confirm has come.
type Publication struct {
	Exchange      string
	RoutingKey    string
	Mandatory     bool
	RawProperties []byte // flags and values as on the wire
	Body          []byte
	Tx            *Tx // the transaction to which it belongs
}

// Group returns a value that is the same for all publishes of one call, or nil.
func (p *Publication) Group() any {
	if p.Tx == nil {
		return nil
	}
	return p.Tx
}

// A Confirmer is called once with the outcome of a publish, on the loop's thread and never
// inside Send. nil means that the broker has taken responsibility for the message.
type Confirmer interface{ Confirmed(err error) }

// A Sender gives publishes to a broker. If Send returns an error, nothing was kept and done is not
// called.
type Sender interface {
	Send(p *Publication, done Confirmer) error
}

// A Foreseer is a Sender that can say whether it would refuse publishes now. Foresee is
// called before a participant commits, with the number of publishes, their octets together,
// and the octets of the last one. A result of nil is no promise.
type Foreseer interface {
	Foresee(count, octets, size int) error
}

// A Tx is the transaction of one call: the participants that joined, and the publishes that are
// sent when it commits. Its outcome decides how the call's message is settled.
type Tx struct {
	participants []Participant
	gets         []func(ack bool) // settlements of messages got from queues
	prepared     int              // participants whose Commit has been called
	events       []*broadcast     // for topics of this process
	pubs         []publication
	arena        []byte // encoded properties and bodies of pubs
	table        []byte // scratch for a headers table
	id           []byte // scratch for a derived message id
	waiting      int    // outstanding confirms
	ending       bool   // a participant's Commit or Abort is running
	committing   bool   // a call that goes on is committing: nothing can be added meanwhile
	err          error  // error of the first publish that could not be built
}

// publication becomes a Publication. It holds offsets, because the arena may still grow and move.
type publication struct {
	Publication
	request                *Request
	sender                 Sender
	propsAt, bodyAt, endAt int
	large                  []byte      // the body, if it is outside of the arena
	name                   string      // name of the producer, for errors
	span                   PublishSpan // nil if the call is not traced, or not sampled
	err                    error
}

func (t *Tx) reset() {
	clear(t.participants)
	clear(t.pubs)
	clear(t.events)
	t.events = t.events[:0]
	t.participants, t.pubs, t.arena = t.participants[:0], t.pubs[:0], t.arena[:0]
	t.prepared, t.waiting, t.err, t.ending = 0, 0, nil, false
}

// commit runs the steps in order: the participants prepare and then commit, the publishes are sent
// in order, and their confirms are awaited.
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
		if err := r.commitParticipants(); err != nil {
			return err
		}
	}
	if err := r.send(); err != nil {
		return err
	}
	t.settleGets(true)
	r.broadcastAll()
	return nil
}

// commitParticipants writes the rows of the outbox and commits. The other publishes are sent after
// that.
func (r *Request) commitParticipants() error {
	t := &r.tx
	if r.server.boxes && len(t.pubs) > 0 {
		b, err := r.box()
		if err != nil {
			return err
		}
		defer b.wake() // also when it is not known whether the rows were committed
	}
	if err := t.foresee(); err != nil {
		return err
	}
	crashpoint.At("prepared")
	committed := false
	for _, p := range t.participants {
		t.prepared++
		switch err := r.commitOne(p); {
		case err == nil:
			s, is := p.(*sqlTx)
			committed = committed || !is || s.tx != nil
		case !committed:
			return fmt.Errorf("commit: %w", err)
		case errors.Is(err, ErrCommitUnknown):
			return fmt.Errorf("commit, after others have committed: %w: %v", ErrCommitUnknown, err)
		default: // not a conflict: another run would commit the first ones twice
			return fmt.Errorf("commit, after others have committed: %v", err)
		}
	}
	crashpoint.At("committed")
	return nil
}

// foresee refuses publishes that are known to fail, before a participant commits. The publishes
// are sent only after the commit, which they cannot take back.
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

// commitOne runs a participant's Commit. Work that Commit offloads does not wait behind work
// that may need a lock of the participant.
func (r *Request) commitOne(p Participant) error {
	r.tx.ending = true
	defer func() { r.tx.ending = false }()
	return p.Commit(r)
}

// send sends the publishes and waits until each is confirmed or has failed. The wait cannot be
// cancelled, because the publishes still use the call's memory.
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
		if p.span != nil {
			p.span.Send(&p.Publication)
		}
		if err := p.sender.Send(&p.Publication, p); err != nil {
			if p.span != nil {
				p.span.End(err)
			}
			first = p.failure(err)
			break // sending later ones would break the order
		}
		t.waiting++
	}
	if len(t.pubs) > 0 {
		crashpoint.At("published") // and not written yet
	}
	for t.waiting > 0 {
		r.park()
	}
	if len(t.pubs) > 0 {
		crashpoint.At("confirmed")
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
	if p.span != nil {
		p.span.End(err)
	}
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
