package broker

import "zamqp/amqpproto"

// heldAnswer is an answer that waits for the disk. declare-ok promises that a durable thing
// will exist after a crash, so it is sent when the thing is on disk. Until then the
// connection is not read, so that answers keep their order.
type heldAnswer struct {
	channel *channel
	method  amqpproto.MethodID // the method that it answers
	octets  []byte
	need    uint64 // the store must have synced this
}

// change handles a method of the classes exchange and queue. It also handles
// basic.qos: a client that waits for qos-ok knows that its earlier acks are on disk.
func (ch *channel) change(id amqpproto.MethodID, args []byte) error {
	c := ch.conn
	s := c.server
	if c.vhost.unbinding > 0 && aboutBindings(id) {
		return errBusy
	}
	before := s.stored()
	c.out.Room() // so that the answer begins at the present end of the output
	at := len(c.out.Buf)
	s.removal, ch.later = nil, false
	if err := ch.handle(id, args); err != nil {
		return err
	}
	if ch.later {
		return nil
	}
	err := ch.answered(id, at, before)
	if id == amqpproto.IDBasicQos && err == nil && c.held.need == 0 {
		ch.wakeConsumers() // the number may be higher than before
	}
	return err
}

// answered holds the answer if the change is not on disk yet.
func (ch *channel) answered(id amqpproto.MethodID, at int, before uint64) error {
	s := ch.conn.server
	need := s.stored()
	if need == before {
		if id != amqpproto.IDBasicQos {
			// Another connection may have declared it a moment ago.
			need = s.store.Changed()
		}
		if need <= s.synced() || s.storeErr() != nil {
			return nil
		}
	}
	return ch.holdAnswer(id, at, need)
}

// aboutBindings reports whether a method would see bindings of a deleted thing that are not
// removed yet.
func aboutBindings(id amqpproto.MethodID) bool {
	return id.Class() == amqpproto.ClassExchange || id == amqpproto.IDQueueBind || id == amqpproto.IDQueueUnbind
}

// holdAnswer holds the output from offset at on until the store has synced need.
func (ch *channel) holdAnswer(id amqpproto.MethodID, at int, need uint64) error {
	c := ch.conn
	s := c.server
	if s.storeErr() != nil {
		c.out.Buf = c.out.Buf[:at]
		return storeFault(id, s.storeErr())
	}
	if need <= s.synced() {
		return nil
	}
	c.held = heldAnswer{ch, id, append(c.held.octets[:0], c.out.Buf[at:]...), need}
	c.out.Buf = c.out.Buf[:at]
	c.commits++
	s.answering = append(s.answering, c)
	return nil
}

// storeFault returns the ConnectionError 541 for a store that can change nothing durable any
// more.
func storeFault(id amqpproto.MethodID, err error) error {
	return connectionError(amqpproto.InternalError, id, "the store has failed: %v", err)
}

// giveAnswers sends the answers whose changes are on disk now.
func (s *Server) giveAnswers() {
	waiting := s.answering
	s.answering = nil
	for i, c := range waiting {
		waiting[i] = nil
		switch {
		case c.held.need == 0 || c.state != connOpen:
		case c.held.need <= s.synced():
			c.answer()
		case s.storeErr() != nil:
			c.sendClose(storeFault(c.held.method, s.storeErr()).(*amqpproto.ConnectionError))
		default:
			s.answering = append(s.answering, c)
		}
	}
	if s.answering == nil {
		s.answering = waiting[:0]
	}
}

// sendAfterAnswer is send, but after the answer that the connection holds.
func (c *Conn) sendAfterAnswer(channel uint16, m amqpproto.Method) {
	if c.held.need == 0 {
		c.send(channel, m)
		return
	}
	c.held.octets, _ = amqpproto.AppendMethod(c.held.octets, channel, m)
}

func (c *Conn) answer() {
	h := &c.held
	if h.channel.state == channelOpen {
		c.out.Room()
		c.out.Buf = append(c.out.Buf, h.octets...)
	}
	c.commits--
	wake := h.method == amqpproto.IDBasicQos
	ch := h.channel
	*h = heldAnswer{}
	if wake {
		ch.wakeConsumers()
	}
	c.wakeKept()
}
