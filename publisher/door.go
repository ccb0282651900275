package publisher

import "time"

// A Door turns what a protocol machine says into a call and the call's outcome
// back into what the machine says.
type Door interface {
	// Done is told once, on the loop's thread, that a call is over. The door
	// takes what it needs of r.Outcome and r.Response: r is recycled when Done
	// returns.
	Done(r *Request)
}

// A StreamDoor can send an answer in pieces; see [Request.Stream].
type StreamDoor interface {
	Door
	// Start sends the head of the answer. length may be LengthUnknown, or
	// LengthUntilClose.
	Start(r *Request, length int64)
	// Write sends a piece, and reports whether more may follow at once; when
	// not, the door calls r.Wake as soon as it may.
	Write(r *Request, p []byte) (more bool, err error)
	// Written tells that all was written. An error says that it is not what Start
	// announced; it is the call's failure.
	Written(r *Request) error
}

// Lengths of an answer that are none: its end is marked by the last chunk, or, for
// HTTP/1.0 and where that is asked for, by the end of the connection.
const (
	LengthUnknown    = -1
	LengthUntilClose = -2
)

// A Settlement says what becomes of a message.
type Settlement uint8

const (
	SettleAck        Settlement = iota + 1 // done
	SettleRetry                            // again, after Outcome.Delay
	SettleDeadLetter                       // to the dead-letter queue
)

func (s Settlement) String() string {
	switch s {
	case SettleAck:
		return "ack"
	case SettleRetry:
		return "retry"
	case SettleDeadLetter:
		return "dead letter"
	}
	return "none"
}

// An Outcome is how a call ended. For an HTTP request the response says the
// rest: it is filled in whether the call failed or not.
type Outcome struct {
	Err        error
	Settlement Settlement    // of a message
	Delay      time.Duration // before a Retry
	Reason     string        // of a DeadLetter: a Reason constant
}

// Outcome is how the call ended, for its door.
func (r *Request) Outcome() *Outcome { return &r.outcome }

// Wake makes a call that waits in a [Stream] go on; its door calls it.
func (r *Request) Wake() {
	if r.bridge != nil {
		r.bridge.room()
	}
	r.wake()
}
