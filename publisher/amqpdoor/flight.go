package amqpdoor

import (
	"errors"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher/spool"
)

// A flight is a publish on its way through a spooler to the broker: of a call
// that waits, or of the store.
type flight struct {
	x       *spooler
	waiting             // of a call: done is set
	entry   spool.Entry // of the store
	alone   bool        // no other was under way with it
}

func (x *spooler) flight() *flight {
	if n := len(x.free); n > 0 {
		f := x.free[n-1]
		x.free = x.free[:n-1]
		return f
	}
	return &flight{x: x}
}

// flightsKept bounds the unused ones.
const flightsKept = 4096

func (x *spooler) release(f *flight) {
	if len(x.free) < flightsKept {
		*f = flight{x: x}
		x.free = append(x.free, f)
	}
}

// Confirmed takes the broker's word, or that there was none.
func (f *flight) Confirmed(err error) {
	x, w, e, alone := f.x, f.waiting, f.entry, f.alone
	x.release(f)
	if w.done != nil {
		x.answered(w, err)
	} else {
		x.landed(&e, alone, err)
	}
}

// answered is the outcome of a publish whose call waits. Nobody knows whether the
// broker has one that it did not answer: it goes to disk, and then to the broker
// again.
func (x *spooler) answered(w waiting, err error) {
	if err == nil || !isUnanswered(err) || w.producer != nil && w.producer.Err() != nil && errors.Is(err, client.ErrConfirmTimeout) {
		w.done.Confirmed(err)
		return
	}
	if x.closing {
		w.done.Confirmed(err)
		return
	}
	x.lost = append(x.lost, w)
	x.soon()
}

// isUnanswered reports whether a publish ended without the broker's word on it.
func isUnanswered(err error) bool {
	var lost *client.LostError
	return errors.As(err, &lost) || errors.Is(err, client.ErrConfirmTimeout) || errors.Is(err, client.ErrClosed)
}

// landed is the outcome of a message of the store.
func (x *spooler) landed(e *spool.Entry, alone bool, err error) {
	x.flights--
	x.octets -= len(e.Body)
	if x.closing {
		return
	}
	var closed *amqpproto.ChannelError
	switch {
	case err == nil:
		x.drained++
		x.store.Gone(e.Number)
	case isRefused(alone, err):
		x.aside(e, err.Error())
	default:
		if errors.As(err, &closed) {
			x.careful = max(x.careful, x.highest)
		}
		x.again = true
	}
	x.soon()
}
