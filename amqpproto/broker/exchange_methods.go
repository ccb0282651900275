package broker

import "zamqp/amqpproto"

// These are the methods of class exchange: permissions here, the rest in vhost.

func (ch *channel) onExchangeDeclare(args []byte) error {
	var m amqpproto.ExchangeDeclare
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if err := m.Arguments.Validate(); err != nil {
		return err
	}
	if m.Passive {
		if err := c.vhost.checkExchange(m.Exchange); err != nil {
			return err
		}
		return ch.exchangeDeclared(&m)
	}
	if len(m.Exchange) > 0 { // the default exchange is always refused
		if err := c.mayConfigure("exchange", m.Exchange); err != nil {
			return err
		}
	}
	if c.access != nil && c.vhost.exchange(m.Exchange) == nil {
		if err := c.mayForward(m.Arguments, "alternate-exchange", "exchange", m.Exchange); err != nil {
			return err
		}
	}
	_, err := c.vhost.declareExchange(exchangeSpec{name: string(m.Exchange), kind: string(m.Type),
		durable: m.Durable, autoDelete: m.AutoDelete, internal: m.Internal, args: m.Arguments})
	if err != nil {
		return err
	}
	return ch.exchangeDeclared(&m)
}

func (ch *channel) exchangeDeclared(m *amqpproto.ExchangeDeclare) error {
	if !m.NoWait {
		ch.conn.send(ch.number, &amqpproto.ExchangeDeclareOk{})
	}
	return nil
}

// mayForward checks the argument that names an exchange to which the declared thing forwards
// messages: the user must be able to read the declared thing and to write to that exchange.
func (c *Conn) mayForward(args amqpproto.RawTable, argument, kind string, name []byte) error {
	f, ok := args.Lookup(argument)
	if !ok || f.Type != amqpproto.FieldString {
		return nil
	}
	if err := c.mayRead(kind, name); err != nil {
		return err
	}
	return c.mayWrite("exchange", f.Raw)
}

func (ch *channel) onExchangeDelete(args []byte) error {
	var m amqpproto.ExchangeDelete
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if len(m.Exchange) > 0 {
		if err := c.mayConfigure("exchange", m.Exchange); err != nil {
			return err
		}
	}
	if err := c.vhost.deleteExchange(m.Exchange, m.IfUnused); err != nil {
		return err
	}
	if !m.NoWait {
		ch.answerChange(m.ID(), &amqpproto.ExchangeDeleteOk{})
	}
	return nil
}

func (ch *channel) onExchangeBind(args []byte) error {
	var m amqpproto.ExchangeBind
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if err := c.mayBindExchange(m.Destination, m.Source, m.Arguments); err != nil {
		return err
	}
	if err := c.vhost.bindExchange(m.Destination, m.Source, m.RoutingKey, m.Arguments); err != nil {
		return err
	}
	if !m.NoWait {
		c.send(ch.number, &amqpproto.ExchangeBindOk{})
	}
	return nil
}

func (ch *channel) onExchangeUnbind(args []byte) error {
	var m amqpproto.ExchangeUnbind
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	if err := c.mayBindExchange(m.Destination, m.Source, m.Arguments); err != nil {
		return err
	}
	if err := c.vhost.unbindExchange(m.Destination, m.Source, m.RoutingKey, m.Arguments); err != nil {
		return err
	}
	if !m.NoWait {
		c.send(ch.number, &amqpproto.ExchangeUnbindOk{})
	}
	return nil
}

// mayBindExchange checks the arguments and the permissions of binding and unbinding an exchange.
func (c *Conn) mayBindExchange(destination, source []byte, args amqpproto.RawTable) error {
	if err := args.Validate(); err != nil {
		return err
	}
	return c.mayBind("exchange", destination, source)
}

// mayBind checks binding and unbinding. The default exchange can take part in neither, which
// is checked before any permission.
func (c *Conn) mayBind(kind string, destination, source []byte) error {
	if c.access == nil {
		return nil
	}
	if len(source) == 0 || kind == "exchange" && len(destination) == 0 {
		return checkDefault("")
	}
	if err := c.mayWrite(kind, destination); err != nil {
		return err
	}
	return c.mayRead("exchange", source)
}
