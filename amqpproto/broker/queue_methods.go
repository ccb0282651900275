package broker

import "zamqp/amqpproto"

// These are the methods of class queue: permissions, the queue that the name "" means, and
// the answers. vhost.go does the rest.

// currentQueue returns name, or if that is "", the queue that the channel declared last.
func (ch *channel) currentQueue(name []byte) ([]byte, error) {
	if len(name) > 0 {
		return name, nil
	}
	if len(ch.current) == 0 {
		return nil, notFound("no previously declared queue")
	}
	return ch.current, nil
}

// readable returns the queue that a method names, if the user may read it.
func (ch *channel) readable(named []byte) (*queue, error) {
	name, err := ch.currentQueue(named)
	if err != nil {
		return nil, err
	}
	if err := ch.conn.mayRead("queue", name); err != nil {
		return nil, err
	}
	return ch.conn.vhost.needQueue(name, ch.conn)
}

func (ch *channel) onQueueDeclare(args []byte) error {
	var m amqpproto.QueueDeclare
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if err := m.Arguments.Validate(); err != nil {
		return err
	}
	if isReplyQueue(m.Queue) {
		if !c.server.replyExists(m.Queue) {
			return c.vhost.noQueue(string(m.Queue))
		}
		ch.queueDeclared(&m, m.Queue, 0, 1)
		return nil
	}
	if m.Passive {
		q, err := c.vhost.checkQueue(m.Queue, c)
		if err != nil {
			return err
		}
		if err := q.quiet(); err != nil {
			return err
		}
		ch.queueDeclared(&m, []byte(q.name), q.messages(), q.consumers())
		return nil
	}
	spec := queueSpec{name: string(m.Queue), durable: m.Durable, exclusive: m.Exclusive, autoDelete: m.AutoDelete, args: m.Arguments}
	if c.access != nil {
		// Permissions depend on the name, so the name that the server chooses must be known
		// here.
		for spec.name == "" || len(m.Queue) == 0 && c.vhost.queue([]byte(spec.name)) != nil {
			spec.name = c.server.generatedName()
		}
		if err := c.mayConfigure("queue", []byte(spec.name)); err != nil {
			return err
		}
		if c.vhost.queue([]byte(spec.name)) == nil {
			if err := c.mayForward(m.Arguments, "x-dead-letter-exchange", "queue", []byte(spec.name)); err != nil {
				return err
			}
		}
		if len(m.Queue) == 0 {
			spec.name = "" // checkName refuses such names from clients
		}
	}
	if q := c.vhost.queue([]byte(stripBreaks(spec.name))); q != nil && q.busy() {
		return errBusy
	}
	q, err := c.vhost.declareQueue(spec, c)
	if err != nil {
		return err
	}
	ch.queueDeclared(&m, []byte(q.name), q.messages(), q.consumers())
	return nil
}

// queueDeclared remembers the name as the current one, and sends the answer.
func (ch *channel) queueDeclared(m *amqpproto.QueueDeclare, name []byte, messages, consumers int) {
	ch.current = append(ch.current[:0], name...)
	if !m.NoWait {
		ch.conn.send(ch.number, &amqpproto.QueueDeclareOk{Queue: name, MessageCount: uint32(messages), ConsumerCount: uint32(consumers)})
	}
}

// boundBy checks the names in queue.bind and queue.unbind, and fills in missing ones.
func (ch *channel) boundBy(queue, exchange, key []byte, args amqpproto.RawTable) (name, routingKey []byte, err error) {
	if err := args.Validate(); err != nil {
		return nil, nil, err
	}
	if name, err = ch.currentQueue(queue); err != nil {
		return nil, nil, err
	}
	if len(queue) == 0 && len(key) == 0 {
		key = name // §1.7.2.3: both empty means the name of the queue for both
	}
	return name, key, ch.conn.mayBind("queue", name, exchange)
}

func (ch *channel) onQueueBind(args []byte) error {
	var m amqpproto.QueueBind
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	name, key, err := ch.boundBy(m.Queue, m.Exchange, m.RoutingKey, m.Arguments)
	if err != nil {
		return err
	}
	if err := c.vhost.bindQueue(name, m.Exchange, key, m.Arguments, c); err != nil {
		return err
	}
	if !m.NoWait {
		c.send(ch.number, &amqpproto.QueueBindOk{})
	}
	return nil
}

func (ch *channel) onQueueUnbind(args []byte) error {
	var m amqpproto.QueueUnbind
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	name, key, err := ch.boundBy(m.Queue, m.Exchange, m.RoutingKey, m.Arguments)
	if err != nil {
		return err
	}
	if err := c.vhost.unbindQueue(name, m.Exchange, key, m.Arguments, c); err != nil {
		return err
	}
	c.send(ch.number, &amqpproto.QueueUnbindOk{})
	return nil
}

func (ch *channel) onQueuePurge(args []byte) error {
	var m amqpproto.QueuePurge
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	q, err := ch.readable(m.Queue)
	if err != nil {
		return err
	}
	if err := q.quiet(); err != nil {
		return err
	}
	n := q.purge()
	if !m.NoWait {
		ch.answerChange(m.ID(), &amqpproto.QueuePurgeOk{MessageCount: uint32(n)})
	}
	return nil
}

func (ch *channel) onQueueDelete(args []byte) error {
	var m amqpproto.QueueDelete
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	name, err := ch.currentQueue(m.Queue)
	if err != nil {
		return err
	}
	if err := c.mayConfigure("queue", name); err != nil {
		return err
	}
	n, err := c.vhost.deleteQueue(name, c, m.IfUnused, m.IfEmpty)
	if err != nil {
		return err
	}
	if !m.NoWait {
		ch.answerChange(m.ID(), &amqpproto.QueueDeleteOk{MessageCount: uint32(n)})
	}
	return nil
}
