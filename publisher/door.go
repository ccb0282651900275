package publisher

import "time"

// A Call is a [Request] as the door sees it that made it: with the methods that fill
// it, and with what came of it. Handlers get the Request.
type Call Request

// Request is the call as its handler sees it.
func (c *Call) Request() *Request { return (*Request)(c) }

// forDoor is the call as its door sees it.
func (r *Request) forDoor() *Call { return (*Call)(r) }

// A Door turns what a protocol machine says into a call, and the call's outcome back
// into what the machine says.
type Door interface {
	// Done is called once, on the loop's thread, when a call is over. The door takes
	// what it needs from c.Outcome and c.Response: c is recycled when Done returns.
	Done(c *Call)
}

// A StreamDoor can send an answer in pieces; see [Request.Stream].
type StreamDoor interface {
	Door
	// Start sends the head of the answer. length may be LengthUnknown or
	// LengthUntilClose.
	Start(c *Call, length int64)
	// Write sends a piece, and reports whether more may follow at once. If not, the
	// door calls c.Wake as soon as more may follow.
	Write(c *Call, p []byte) (more bool, err error)
	// Written is called when everything was written. It returns an error if that is
	// not what Start announced; the call fails with it.
	Written(c *Call) error
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

// Outcome is how the call ended.
func (c *Call) Outcome() *Outcome { return &c.outcome }

// Response is the answer as it stands.
func (c *Call) Response() *Response { return &c.response }

// Streamed reports whether the answer was sent by Start and Write already, or was
// cut before: then there is nothing to answer.
func (c *Call) Streamed() bool {
	p := &c.response
	return p.stream != nil || p.begun || p.cut
}

// Wake lets a call that waits in a [Stream] go on.
func (c *Call) Wake() {
	if c.bridge != nil {
		c.bridge.room()
	}
	c.Request().wake()
}

// Cancel ends the waits of the call with cause, and its [Request.Context]. What has
// begun to commit goes on.
func (c *Call) Cancel(cause error) { c.Request().cancel(cause) }
