package broker

import "zamqp/amqpproto"

// closing closes all connections, in slices.
type closing struct {
	text string
	next *Conn // the first of the connections that are still to be closed
}

func (e *closing) step(s *Server) (done bool) {
	for e.next != nil {
		if !s.charge(closeUnits, 0) {
			return false
		}
		c := e.next
		e.next = c.place.after()
		if c.state == connOpen {
			c.sendClose(&amqpproto.ConnectionError{Code: amqpproto.ConnectionForced, Text: e.text})
		} else {
			c.over()
		}
	}
	s.closer = nil
	return true
}
