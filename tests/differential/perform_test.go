package differential_test

import (
	"fmt"
	"slices"

	"zamqp/amqpproto"
)

// perform does one operation and waits until the broker has handled it.
func (e *end) perform(o *operation) {
	c := e.channels[o.channel]
	if c != nil {
		c.replies, c.marks, c.awaited, c.doing = 0, 0, 0, o
	}
	switch o.do {
	case "publish":
		e.publish(c, o)
	case "ack", "nack", "reject":
		e.decide(c, o)
	case "raw":
		e.raw(c, o)
	case "abort":
		e.drop()
	default:
		e.invoke(c, o)
	}
}

// invoke sends the method of an operation that is one.
func (e *end) invoke(c *channel, o *operation) {
	m, reply := o.method(e.r.name)
	if m == nil {
		panic("no operation " + o.do)
	}
	if o.do == "connection.close" {
		e.watchful = true
		e.l.send(0, m)
		e.await(func() bool { return false })
		e.watchful = false
		return
	}
	c.awaited = reply
	switch o.do {
	case "channel.close":
		e.l.send(o.channel, m)
		e.await(func() bool { return !c.open })
		return
	case "tx.commit":
		// RabbitMQ closes a connection that goes on before commit-ok has come.
		e.l.send(o.channel, m)
		e.await(func() bool { return c.replies > 0 || !c.open })
		if c.open {
			e.l.send(o.channel, marker)
			e.await(func() bool { return c.marks > 0 || !c.open })
		}
		return
	case "queue.declare":
		if len(o.queue) > 0 && (o.queue[0] == '@' || o.queue[0] == '$' && e.r.symbols[o.queue] != "") && !o.has("passive") {
			e.r.watch(o.queue)
		}
	case "basic.consume":
		if reply == 0 {
			c.noAck[o.tag] = o.has("no-ack")
		}
	case "basic.get":
		c.noAck["get"] = o.has("no-ack")
	case "basic.recover", "basic.recover-async":
		c.unsettled = nil
	case "confirm.select":
		if reply == 0 {
			c.confirm = true
		}
	}
	e.l.send(o.channel, m, marker)
	e.await(func() bool { return (reply == 0 || c.replies > 0) && c.marks > 0 || !c.open })
}

// note updates the state after a reply.
func (e *end) note(c *channel, m *message) {
	o := c.doing
	if o == nil {
		return
	}
	switch x := m.method.(type) {
	case *amqpproto.QueueDeclareOk:
		if o.queue == "" && !o.has("passive") {
			symbol := fmt.Sprintf("$%d", o.id)
			e.r.invent(symbol, string(x.Queue))
			e.r.watch(symbol)
		}
	case *amqpproto.BasicConsumeOk:
		if o.tag == "" {
			e.r.invent(fmt.Sprintf("%%%d", o.id), string(x.ConsumerTag))
		}
		c.noAck[string(x.ConsumerTag)] = o.has("no-ack")
	case *amqpproto.ConfirmSelectOk:
		c.confirm = true
	case *amqpproto.TxSelectOk:
		c.tx = true
	case *amqpproto.TxCommitOk:
		c.undecided = nil
	case *amqpproto.TxRollbackOk:
		c.unsettled = append(c.undecided, c.unsettled...)
		c.undecided = nil
	}
}

// publish sends o.count messages in one write.
func (e *end) publish(c *channel, o *operation) {
	m := &amqpproto.BasicPublish{Exchange: []byte(e.r.name(o.exchange)), RoutingKey: []byte(e.r.name(o.key)),
		Mandatory: o.has("mandatory"), Immediate: o.has("immediate")}
	p := o.properties(e.r.name)
	var out []byte
	for i := range max(1, o.count) {
		name := fmt.Sprintf("m%d", o.id)
		if o.count > 1 {
			name += fmt.Sprintf("-%d", i)
		}
		out = append(out, publication(o.channel, m, p, []byte(payload(name, o.size)))...)
		if c.confirm {
			c.sent++
			c.unsure[c.sent] = true
		}
	}
	e.l.write(must(amqpproto.AppendMethod(out, o.channel, marker)))
	e.await(func() bool { return c.marks > 0 || !c.open })
}

// decide settles a delivery that the client holds: the o.n-th, counted in a circle. Its tag
// depends on how independent queues were interleaved, so it is chosen by its consumer and its
// place in that consumer's order. If it settles all deliveries before it, it settles whole
// steps.
func (e *end) decide(c *channel, o *operation) {
	if len(c.unsettled) == 0 {
		e.r.say("", "nothing to settle")
		return
	}
	sorted := slices.Clone(c.unsettled)
	slices.SortStableFunc(sorted, func(a, b *delivery) int {
		if n := a.step - b.step; n != 0 {
			return n
		}
		return compareNames(e.r.symbol(a.from), e.r.symbol(b.from))
	})
	d := sorted[o.n%len(sorted)]
	tag := d.tag
	if o.has("multiple") {
		for _, other := range c.unsettled {
			if other.step <= d.step {
				tag = max(tag, other.tag)
			}
		}
	}
	settled := func(d *delivery) bool { return d.tag == tag || o.has("multiple") && d.tag < tag }
	if c.tx {
		for _, d := range c.unsettled {
			if settled(d) {
				c.undecided = append(c.undecided, d)
			}
		}
	}
	c.unsettled = slices.DeleteFunc(c.unsettled, settled)
	if o.has("all") {
		tag = 0
		c.undecided, c.unsettled = append(c.undecided, c.unsettled...), nil
	}
	var m amqpproto.Method
	switch o.do {
	case "ack":
		m = &amqpproto.BasicAck{DeliveryTag: tag, Multiple: o.has("multiple")}
	case "nack":
		m = &amqpproto.BasicNack{DeliveryTag: tag, Multiple: o.has("multiple"), Requeue: o.has("requeue")}
	default:
		m = &amqpproto.BasicReject{DeliveryTag: tag, Requeue: o.has("requeue")}
	}
	e.l.send(o.channel, m, marker)
	e.await(func() bool { return c.marks > 0 || !c.open })
}

// symbol is the name of a consumer as transcripts show it.
func (r *run) symbol(tag string) string {
	for i := 0; i < len(r.names); i += 2 {
		if r.names[i] == tag {
			return r.names[i+1]
		}
	}
	return tag
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// raw sends octets that no client should.
func (e *end) raw(c *channel, o *operation) {
	out := broken[o.kind](o.channel)
	e.l.write(must(amqpproto.AppendMethod(out, o.channel, marker)))
	e.await(func() bool { return c.marks > 0 || !c.open })
}
