package broker

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/broker/backlog"
)

// removal is the rest of the work on a queue or an exchange that was deleted, or on the
// messages of a purged queue, if that is too much for one slice. No client sees it: bindings
// of deleted things route nothing, and methods about exchanges and bindings wait until the
// bindings are removed.
type removal struct {
	vhost     *vhost
	queue     *queue          // one of the two
	exchange  *exchange       // one of the two
	backlog   backlog.Backlog // messages to be dropped
	consumers []*consumer     // consumers to be told
	ended     []*consumer     // their end is reported to clients after the answer
	unbinding bool            // it counts in vhost.unbinding
	last      func()          // the answer
}

// removeLater removes the rest in later turns.
func (s *Server) removeLater(w *removal) {
	w.unbinding = w.queue != nil && len(w.queue.bindings) > 0 && w.queue.gone || w.exchange != nil
	if w.unbinding {
		w.vhost.unbinding++
	}
	s.removal = w
	s.later(w)
}

func (w *removal) step(s *Server) (done bool) {
	if !w.unbind(s) {
		return false
	}
	for w.backlog.Len() > 0 {
		if !s.charge(forgetUnits, 0) {
			return false
		}
		e := s.entryOf(w.backlog.Pop(&s.blocks))
		s.memory -= backlog.CellSize
		w.queue.forget(e)
	}
	for len(w.consumers) > 0 {
		if !s.charge(endUnits, 0) {
			return false
		}
		at := len(s.ended)
		w.consumers[0].to.cancelled(w.consumers[0])
		w.consumers = w.consumers[1:]
		w.ended = append(w.ended, s.ended[at:]...)
		s.ended = s.ended[:at]
	}
	if w.last != nil {
		w.last()
		w.last = nil
	}
	for len(w.ended) > 0 {
		if !s.charge(deliverUnits, 0) {
			return false
		}
		s.tellEnd(w.ended[0])
		w.ended = w.ended[1:]
	}
	return true
}

// unbind removes the bindings.
func (w *removal) unbind(s *Server) (done bool) {
	if !w.unbinding {
		return true
	}
	v := w.vhost
	if q := w.queue; q != nil {
		for len(q.bindings) > 0 {
			if !s.charge(bindingUnits, 0) {
				return false
			}
			v.removeBinding(q.bindings[len(q.bindings)-1])
		}
	}
	if x := w.exchange; x != nil {
		for len(x.bindings)+len(x.targets) > 0 {
			if !s.charge(bindingUnits, 0) {
				return false
			}
			x.unbindOne()
		}
	}
	w.unbinding = false
	v.unbinding--
	return true
}

// answerChange sends the answer to a change that was just made: at once, or when the rest of
// it is done and, if it is durable, on disk. m is nil for no answer.
func (ch *channel) answerChange(id amqpproto.MethodID, m amqpproto.Method) {
	c := ch.conn
	w := c.server.removal
	c.server.removal = nil
	switch {
	case m == nil:
	case w == nil:
		c.send(ch.number, m)
	default:
		c.works++
		ch.later = true
		w.last = func() {
			if ch.state == channelOpen && c.state == connOpen {
				c.out.Room()
				at := len(c.out.Buf)
				c.send(ch.number, m)
				_ = ch.holdAnswer(id, at, c.server.stored()) // an error closes the connection
			}
			c.worked()
		}
	}
}
