package broker

import "zamqp/amqpproto"

// ending ends channels, or a connection with all its channels, if that is too much for one
// slice. The client gets the answer when all of it is done.
type ending struct {
	conn      *Conn
	first     []*ending // ends of single channels that began before
	channels  []*channel
	consumers []*consumer // consumers to be cancelled
	owned     []*queue    // exclusive queues to be deleted
	holding   holding
	last      func() // sends the answer to the client at the end; nil = none
	over      bool
}

// endUnitsOf returns the cost of ending channels at once.
func endUnitsOf(channels []*channel) int {
	units := 0
	for _, ch := range channels {
		if ch == nil {
			continue
		}
		units += ch.order.n*endUnits + ch.unacked.len()*requeueUnits
		units += ch.tx.publishes.n*forgetUnits + ch.tx.settles.n*2*requeueUnits
		if ch.chore != nil || ch.ending != nil {
			units += sliceUnits + 1 // this comes first
		}
	}
	return units
}

// endLater ends channels in later turns. From now on none of their consumers gets a message.
func (c *Conn) endLater(channels []*channel, owned map[*queue]struct{}) *ending {
	e := &ending{conn: c}
	for _, ch := range channels {
		if ch == nil {
			continue
		}
		if ch.ending != nil {
			e.first = append(e.first, ch.ending)
			continue
		}
		ch.ending = e
		ch.state = awaitChannelCloseOk
		ch.dropReply()
		e.channels = append(e.channels, ch)
		e.consumers = append(e.consumers, ch.order.take()...)
		ch.consumers = nil
	}
	for q := range owned {
		e.owned = append(e.owned, q)
	}
	c.works++
	c.server.later(e)
	return e
}

func (e *ending) step(s *Server) (done bool) {
	if e.over {
		return true
	}
	for len(e.first) > 0 {
		if !e.first[0].step(s) {
			return false
		}
		e.first = e.first[1:]
	}
	for len(e.consumers) > 0 {
		if !s.charge(endUnits, 0) {
			return false
		}
		k := e.consumers[0]
		e.consumers = e.consumers[1:]
		s.stats.Consumers--
		k.queue.cancel(k)
	}
	for len(e.channels) > 0 {
		if !e.giveBack(s, e.channels[0]) {
			return false
		}
		e.channels = e.channels[1:]
	}
	if !e.holding.release(s) {
		return false
	}
	for len(e.owned) > 0 {
		if !s.charge(endUnits, 0) {
			return false
		}
		e.owned[0].deleteWhenQuiet()
		e.owned = e.owned[1:]
	}
	e.over = true
	if e.conn.ending == e {
		e.conn.ending = nil
	}
	e.conn.worked()
	if e.last != nil {
		e.last()
	}
	return true
}

// giveBack returns unacked messages to their queues.
func (e *ending) giveBack(s *Server, ch *channel) (done bool) {
	if t := ch.chore; t != nil && !t.step(s) {
		return false // earlier work is done first
	}
	if ch.tx.publishes.n+ch.tx.settles.n > 0 {
		t := ch.takeTx()
		if ch.chore = t; !t.step(s) {
			return false
		}
	}
	for ch.unacked.len() > 0 {
		if !s.charge(requeueUnits, 0) {
			return false
		}
		e.holding.bringBack(ch.unacked.shift(), true)
	}
	ch.surrender(nil)
	return true
}

// worked ends a piece of work during which the connection is not read.
func (c *Conn) worked() {
	c.works--
	c.wakeKept()
}

// sendLast tells the client that the connection is over, as soon as it is.
func (c *Conn) sendLast(m amqpproto.Method) {
	if c.ending == nil {
		c.send(0, m)
		return
	}
	c.ending.last = func() {
		if c.state == awaitCloseOk || c.state == awaitEOF {
			c.send(0, m)
		}
	}
}
