package broker

import (
	"time"

	"zamqp/amqpproto"
)

const (
	// closeWait is how long a client may take to answer connection.close, and to close its
	// socket after connection.close-ok. As in RabbitMQ, a shorter heartbeat shortens it.
	closeWait = 30 * time.Second
	// garbledWait is the same after octets that are not frames: close-ok could not be
	// recognised after them.
	garbledWait = 3 * time.Second
)

// remove removes c from the list that it is on, if any.
func (c *Conn) remove() {
	if e := c.server.closer; e != nil && e.next == c && c.place.in != nil {
		e.next = c.place.after()
	}
	c.place.remove()
}

// leave begins the end of a connection that one side has closed. From now on the connection
// has nothing but its socket: its channels and exclusive queues are gone before the client
// learns of the end. The socket stays open until the client closes it, because many clients
// take the end of the stream during their own close for an error. state is what the
// connection waits for until then.
func (c *Conn) leave(state connState, why error) {
	s := c.server
	c.err, c.parted = why, true
	opened := c.vhost != nil
	c.endChannels(opened)
	c.blocked, c.told, c.commits = false, false, 0
	c.state = state
	wait := closeWait
	if c.beat.Interval != 0 {
		wait = min(wait, time.Duration(c.beat.Interval))
	}
	c.limit = s.now() + int64(wait)
	c.remove()
	s.leaving.push(&c.place, c)
	if opened {
		c.note(ConnectionClosed, why)
	}
	if s.leaving.n > s.opts.LeavingMax && !s.closing {
		s.HurryOne()
	}
	c.wake() // so that Tick knows when the wait ends
}

// HurryOne closes the socket of the connection that has been closed for the longest time and
// still waits for its client to close it. It returns false if there is none.
func (s *Server) HurryOne() bool {
	for c := s.leaving.head(); c != nil; c = c.place.after() {
		if c.state != connFailed { // otherwise its socket is being closed already
			s.stats.Hurried++
			c.over()
			return true
		}
	}
	return false
}

// over closes the wire when everything was sent.
func (c *Conn) over() {
	if e := c.ending; e != nil && e.last != nil {
		e.last() // there is no time left to wait
		e.last = nil
	}
	c.state, c.limit = connFailed, 0
	c.wire.Close()
}

// cut ends a connection whose client did not end it in time.
func (c *Conn) cut() {
	c.server.stats.Hurried++
	c.state, c.limit = connFailed, 0
	c.wire.Abort(c.err)
}

// onLast handles a frame while the client's close-ok or the end of its socket is awaited.
// Everything that does not belong to the end is dropped.
func (c *Conn) onLast(f amqpproto.Frame) {
	if f.Type != amqpproto.FrameMethod || f.Channel != 0 {
		return
	}
	switch id, _, err := f.Method(); {
	case err != nil:
	case id == amqpproto.IDConnectionClose: // both sides at once, or a second time: our close stands, theirs is answered
		c.send(0, &amqpproto.ConnectionCloseOk{})
	case id == amqpproto.IDConnectionCloseOk:
		c.over() // RabbitMQ also closes the socket here, and some clients wait for that
	}
}
