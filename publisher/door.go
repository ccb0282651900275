package publisher

import "time"

// A Call is a [Request] as the door that made it sees it, with the methods that fill it and
// with its outcome. Handlers get the Request.
type Call Request

// Request returns the call as its handler sees it.
func (c *Call) Request() *Request { return (*Request)(c) }

// forDoor returns the call as its door sees it.
func (r *Request) forDoor() *Call { return (*Call)(r) }

// A Door makes calls of what a protocol machine receives, and gives the outcome of each call
// back to the machine.
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

// A LendDoor can send pieces of an answer from where they are; see [Request.File].
type LendDoor interface {
	StreamDoor
	// LendRoom is how many octets Lend needs before a piece.
	LendRoom() int
	// Lend sends buf[from:]. Until Lent is false, buf belongs to the door. Then the
	// door has called c.Wake.
	Lend(c *Call, buf []byte, from int) error
	// Lent reports whether some of the last piece waits for the client.
	Lent(c *Call) bool
}

// Values for an answer without a known length. Its end is marked by the last chunk, or by the
// end of the connection for HTTP/1.0 and if the handler asks for that.
const (
	LengthUnknown    = -1
	LengthUntilClose = -2
)

// A Settlement says how a message is settled.
type Settlement uint8

const (
	SettleAck        Settlement = iota + 1 // the message was handled
	SettleRetry                            // it is tried again, after Outcome.Delay
	SettleDeadLetter                       // it goes to the dead-letter queue
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
	Delay      time.Duration // how long to wait before a Retry
	Reason     string        // why, for a DeadLetter: a Reason constant
	Duplicate  bool          // acked without being handled: a message with its id has been handled, see Dedupe.Database
}

// Outcome is how the call ended.
func (c *Call) Outcome() *Outcome { return &c.outcome }

// Response returns the answer as it is now.
func (c *Call) Response() *Response { return &c.response }

// Streamed reports whether the answer was already sent by Start and Write, or was cut. Then
// there is nothing left to answer.
func (c *Call) Streamed() bool {
	p := &c.response
	return p.stream != nil || p.begun || p.cut
}

// Broken returns why a streamed answer is not whole, or nil.
func (c *Call) Broken() error {
	if err := c.outcome.Err; !isAnswered(err) {
		return err
	}
	return nil
}

// Wake lets a call that waits in a [Stream] continue.
func (c *Call) Wake() {
	if c.bridge != nil {
		c.bridge.room()
	}
	c.Request().wake()
}

// Cancel ends the waits of the call with cause, and its [Request.Context]. What has
// begun to commit goes on.
func (c *Call) Cancel(cause error) { c.Request().cancel(cause) }
