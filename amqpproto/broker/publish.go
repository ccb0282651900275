package broker

import "zamqp/amqpproto"

// publish handles a complete basic.publish. The checks are RabbitMQ's, in its order.
func (ch *channel) publish(m *amqpproto.BasicPublish, props, body []byte, large bodyRef) error {
	c := ch.conn
	s := c.server
	if m.Immediate {
		return unsupported("immediate=true")
	}
	if err := c.mayWrite("exchange", m.Exchange); err != nil {
		return err
	}
	x, err := c.vhost.needExchange(m.Exchange)
	if err != nil {
		return err
	}
	if x.internal {
		return refused("cannot publish to internal %s", x)
	}
	p := &s.pub
	p.exchange, p.key, p.props, p.body, p.large = m.Exchange, m.RoutingKey, props, body, large
	if err := p.parse(); err != nil {
		return err
	}
	if p.properties.Has(amqpproto.FlagUserID) && !c.user.impersonate && string(p.properties.UserID) != c.user.name {
		return precondition("user_id property set to '%s' but authenticated user was '%s'", p.properties.UserID, c.user.name)
	}
	if err := p.check(); err != nil {
		return err
	}
	if err := ch.rewriteReplyTo(p); err != nil {
		return err
	}
	s.stats.Published++
	if len(m.Exchange) == 0 && isReplyName(m.RoutingKey) {
		// The reply goes directly to its channel. It also counts as unroutable, as RabbitMQ
		// documents.
		s.deliverReply(p)
	}
	var later *routing
	if c.vhost.traces() { // a copy of the firehose names all queues
		s.routed = c.vhost.route(x, p, s.routed[:0])
		ch.tracePublish(p, s.routed)
	} else {
		s.routed, later = c.vhost.routeNow(x, p, s.routed[:0])
	}
	if later != nil || ch.mode != modeTx && !s.afford(len(s.routed)*takeUnits) {
		ch.handLater(p, s.routed, later, m.Mandatory)
	} else if ch.mode == modeTx {
		ch.tx.publish(s.newMessage(p), s.routed, m.Mandatory)
	} else {
		ch.hand(p, s.routed, m.Mandatory)
	}
	clear(s.routed)
	s.checkMemory()
	return nil
}

// hand gives a publish to its queues, or returns it to the publisher, and confirms
// it.
func (ch *channel) hand(p *publishing, queues []*queue, mandatory bool) {
	s := ch.conn.server
	if len(queues) == 0 {
		s.stats.Unroutable++
		if mandatory {
			ch.sendReturn(parts{exchange: p.exchange, key: p.key, props: p.props, body: p.body, large: p.large})
		}
		ch.confirm(0, false)
		return
	}
	m := s.newMessage(p)
	need, refused := s.spread(m, queues)
	s.release(m)
	ch.confirm(need, refused)
}

// spread stores m and pushes it to its queues. need is what the store must have synced before
// a confirm; refused says that a queue has refused it.
func (s *Server) spread(m *message, queues []*queue) (need uint64, refused bool) {
	s.storeMessage(m, queues)
	need = m.seq // m may be gone after it was delivered without ack
	for _, q := range queues {
		if !q.take(m) {
			refused = true
		}
	}
	s.drain() // dead letters come after the message in every queue
	return need, refused
}

// sendReturn sends a mandatory message back that no queue has taken. It is sent before the
// confirm of the same message.
func (ch *channel) sendReturn(p parts) {
	c := ch.conn
	c.send(ch.number, &amqpproto.BasicReturn{ReplyCode: amqpproto.NoRoute, ReplyText: []byte("NO_ROUTE"),
		Exchange: p.exchange, RoutingKey: p.key})
	c.appendContent(ch.number, p)
	c.server.stats.Returned++
}
