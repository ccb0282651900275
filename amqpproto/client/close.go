package client

import (
	"fmt"
	"slices"
	"time"
)

// ConnState tells how far the connection is.
type ConnState uint8

// The states of a Client.
const (
	Disconnected ConnState = iota // a socket is waited for
	Connecting                    // the handshake is on
	Connected                     // open
	Closing                       // Close was called
	Closed                        // and is done
)

var connectionStateNames = [...]string{"disconnected", "connecting", "connected", "closing", "closed"}

func (s ConnState) String() string { return connectionStateNames[s] }

// State tells how far the connection is.
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
	return Disconnected // it has failed, and Lost is to come
}

// Ready tells that a publish without a producer would leave now, except for a
// block: the connection is open, and everybody has had a turn to declare.
func (c *Client) Ready() bool { return c.isOpen() && c.pub.live && c.replay.open }

// Clear tells that a publish whose producer is up would be encoded at once: nothing
// waits before it, and the output has room. Who keeps an order of its own publishes
// only then: what waits in the client outlives the connection, and would leave by
// the next one before what the last one has lost.
func (c *Client) Clear() bool {
	return c.pub.clear() && !c.waiting.moving() && !c.full(c.turn)
}

// Blocked tells whether the broker takes no publishes at present, and its reason.
// Publishes wait then; acks are still sent, but RabbitMQ may stop reading from the
// socket of a publisher altogether: where consumers must go on under an alarm,
// give them a connection of their own.
func (c *Client) Blocked() (bool, string) { return c.blocked, c.reason }

// BlockedSince is when the broker has said so; zero if it takes publishes.
func (c *Client) BlockedSince() time.Time {
	if !c.blocked {
		return time.Time{}
	}
	return c.since
}

// unanswered is late for what has left and has no outcome: a broker that blocks
// publishers may not have read it.
func (c *Client) unanswered(late error) error {
	if !c.blocked {
		return late
	}
	return fmt.Errorf("%w: the broker blocks publishers since %s: %s", late, c.since.Format(time.TimeOnly), c.reason)
}

// Err says why there is no connection; nil while there is, or none was tried.
func (c *Client) Err() error { return c.lastErr }

// Stats returns the counters.
func (c *Client) Stats() Stats { return c.stats }

// Close ends the connection in order: publishes that wait leave, all confirms are
// awaited, acks leave, then connection.close. Meanwhile nothing new is published
// or delivered; what still arrives goes back with the connection. done, which may
// be nil, hears nil, or what broke the order. Without an open connection what
// waits ends with ErrClosed, and done is called before Close returns or, if a socket is there,
// when it is gone. How long all this may take is the caller's to say: it cuts
// the wire when it has waited enough.
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
		c.wake() // Tick finds out when all is done
	}
}

// finish tells that the end has come.
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
	c.tellLater()
	done := c.onClose
	c.onClose = nil
	for _, fn := range done {
		fn(err)
	}
}
