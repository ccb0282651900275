package client

import (
	"fmt"
	"slices"
	"time"
)

// ConnState is the state of the connection.
type ConnState uint8

// The states of a Client.
const (
	Disconnected ConnState = iota // waits for a socket
	Connecting                    // in the handshake
	Connected                     // open
	Closing                       // Close was called
	Closed                        // Close is complete
)

var connectionStateNames = [...]string{"disconnected", "connecting", "connected", "closing", "closed"}

func (s ConnState) String() string { return connectionStateNames[s] }

// State returns the state of the connection.
func (c *Client) State() ConnState {
	switch {
	case c.closing && c.conn == nil:
		return Closed
	case c.closing:
		return Closing
	case c.conn == nil:
		return Disconnected
	case c.conn.state == connOpen:
		return Connected
	case c.conn.state < connOpen:
		return Connecting
	}
	return Disconnected // it has failed, and Lost will be called
}

// Ready reports whether a publish without a producer would be sent now, unless the
// connection is blocked: it is open, and every registration has had its turn to
// declare.
func (c *Client) Ready() bool { return c.isOpen() && c.pub.live && c.replay.open }

// Clear reports whether a publish whose producer is up would be encoded at once:
// nothing waits before it, and the output has room. A caller that keeps its own order
// publishes only then. What waits in the client outlives the connection, so on the
// next connection it would be sent before the publishes that the last one lost.
func (c *Client) Clear() bool {
	return c.pub.clear() && !c.waiting.moving() && !c.full(c.turn)
}

// Blocked reports whether the broker currently takes no publishes, and its reason.
// Publishes wait in that time. Acks are still sent, but RabbitMQ may stop reading from
// the socket of a publisher at all. If consumers must continue during an alarm, give
// them a connection of their own.
func (c *Client) Blocked() (bool, string) { return c.blocked, c.reason }

// BlockedSince returns when the broker said so; the zero time if it takes publishes.
func (c *Client) BlockedSince() time.Time {
	if !c.blocked {
		return time.Time{}
	}
	return c.since
}

// unanswered adds to the error late, for a message that was sent and has no outcome,
// that the broker blocks publishers: it may not have read the message.
func (c *Client) unanswered(late error) error {
	if !c.blocked {
		return late
	}
	return fmt.Errorf("%w: the broker blocks publishers since %s: %s", late, c.since.Format(time.TimeOnly), c.reason)
}

// Err says why there is no connection. It is nil while there is one, and before the
// first try.
func (c *Client) Err() error { return c.lastErr }

// Stats returns the counters.
func (c *Client) Stats() Stats { return c.stats }

// Close ends the connection in order. It sends waiting publishes, waits for all
// confirms, sends the acks, and then sends connection.close. Nothing new is published
// or delivered in that time; messages that still arrive return to their queues when
// the connection ends. done may be nil. It is called with nil, or with the error that
// interrupted this. If no connection is open, waiting publishes end with ErrClosed,
// and done is called before Close returns or, if there is a socket, when the socket is
// gone. Close has no timeout: the caller aborts the wire when it has waited enough.
func (c *Client) Close(done func(error)) {
	if done != nil {
		c.onClose = append(c.onClose, done)
	}
	first := !c.closing
	c.closing = true
	switch {
	case c.conn == nil:
		c.finish(nil)
	case first && c.conn.state < connOpen:
		c.conn.quit = true
		c.conn.wire.Close()
	case first:
		c.wake() // Tick checks when everything has its outcome
	}
}

// finish ends all registrations, waiting publishes and requests, and calls the
// callbacks of Close.
func (c *Client) finish(err error) {
	for _, k := range slices.Clone(c.consumers) {
		k.ended()
		k.err = ErrClosed
	}
	for _, p := range c.producers {
		p.state, p.err, p.ready = Cancelled, ErrClosed, false
	}
	var out []outcome
	c.waiting.remove(func(p *parked) (bool, bool) {
		c.unhold(p.size)
		out = append(out, outcome{p.done, ErrClosed})
		return true, false
	})
	c.later = append(c.later, out...)
	c.requests.each(func(lane *requestChannel) { lane.endAll(ErrClosed, true) })
	for len(c.later) > 0 {
		c.tellLater()
	}
	done := c.onClose
	c.onClose = nil
	for _, fn := range done {
		fn(err)
	}
}
