package differential_test

import (
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

// operation is one thing that a program does. Names in it are symbols, so that
// a program means the same in every run:
//
//	@q1    a name of this run alone: a prefix and "q1"
//	$7     the name that the server has given to the queue of operation 7
//	&      the last reply-to address that a message came with
//	amq.…  itself, as everything else
type operation struct {
	id      int // its own in the program, also when others have been taken out
	conn    int
	channel uint16
	do      string

	queue, exchange, key string
	source, tag, kind    string
	args                 table
	flags                string // names of what is set, separated by blanks
	n                    int
	count                int // of publishes
	size                 int // of a body
	props                table
}

func (o *operation) has(flag string) bool {
	for f := range strings.FieldsSeq(o.flags) {
		if f == flag {
			return true
		}
	}
	return false
}

// String is the operation as a transcript shows it.
func (o *operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %c.%d %s", o.id, 'A'+o.conn, o.channel, o.do)
	for _, f := range []struct{ name, value string }{{"queue", o.queue}, {"exchange", o.exchange}, {"source", o.source},
		{"key", o.key}, {"type", o.kind}, {"tag", o.tag}} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, f.value)
		}
	}
	if o.n != 0 {
		fmt.Fprintf(&b, " n=%d", o.n)
	}
	if o.count > 1 {
		fmt.Fprintf(&b, " count=%d", o.count)
	}
	if o.size != 0 {
		fmt.Fprintf(&b, " size=%d", o.size)
	}
	if o.flags != "" {
		fmt.Fprintf(&b, " (%s)", o.flags)
	}
	if len(o.args) > 0 {
		b.WriteString(" args=" + fields(encoded(o.args), ""))
	}
	if len(o.props) > 0 {
		b.WriteString(" props=" + fields(encoded(o.props), ""))
	}
	return b.String()
}

// method returns the method of an operation that is one, and the reply that it
// waits for, 0 for none. name resolves symbols.
func (o *operation) method(name func(string) string) (m amqpproto.Method, reply amqpproto.MethodID) {
	noWait := o.has("nowait")
	q, x, k := []byte(name(o.queue)), []byte(name(o.exchange)), []byte(name(o.key))
	args := encoded(resolved(o.args, name))
	switch o.do {
	case "exchange.declare":
		m = &amqpproto.ExchangeDeclare{Exchange: x, Type: []byte(o.kind), Passive: o.has("passive"), Durable: o.has("durable"),
			AutoDelete: o.has("auto-delete"), Internal: o.has("internal"), NoWait: noWait, Arguments: args}
	case "exchange.delete":
		m = &amqpproto.ExchangeDelete{Exchange: x, IfUnused: o.has("if-unused"), NoWait: noWait}
	case "exchange.bind":
		m = &amqpproto.ExchangeBind{Destination: x, Source: []byte(name(o.source)), RoutingKey: k, NoWait: noWait, Arguments: args}
	case "exchange.unbind":
		m = &amqpproto.ExchangeUnbind{Destination: x, Source: []byte(name(o.source)), RoutingKey: k, NoWait: noWait, Arguments: args}
	case "queue.declare":
		m = &amqpproto.QueueDeclare{Queue: q, Passive: o.has("passive"), Durable: o.has("durable"), Exclusive: o.has("exclusive"),
			AutoDelete: o.has("auto-delete"), NoWait: noWait, Arguments: args}
	case "queue.bind":
		m = &amqpproto.QueueBind{Queue: q, Exchange: x, RoutingKey: k, NoWait: noWait, Arguments: args}
	case "queue.unbind":
		m, noWait = &amqpproto.QueueUnbind{Queue: q, Exchange: x, RoutingKey: k, Arguments: args}, false
	case "queue.purge":
		m = &amqpproto.QueuePurge{Queue: q, NoWait: noWait}
	case "queue.delete":
		m = &amqpproto.QueueDelete{Queue: q, IfUnused: o.has("if-unused"), IfEmpty: o.has("if-empty"), NoWait: noWait}
	case "basic.consume":
		m = &amqpproto.BasicConsume{Queue: q, ConsumerTag: []byte(o.tag), NoAck: o.has("no-ack"), Exclusive: o.has("exclusive"),
			NoLocal: o.has("no-local"), NoWait: noWait, Arguments: args}
	case "basic.cancel":
		m = &amqpproto.BasicCancel{ConsumerTag: []byte(o.tag), NoWait: noWait}
	default:
		return o.plainMethod(q)
	}
	if noWait {
		return m, 0
	}
	return m, m.ID().Replies()[0]
}

// plainMethod are the methods without a no-wait bit.
func (o *operation) plainMethod(q []byte) (m amqpproto.Method, reply amqpproto.MethodID) {
	switch o.do {
	case "basic.get":
		m = &amqpproto.BasicGet{Queue: q, NoAck: o.has("no-ack")}
	case "basic.qos":
		m = &amqpproto.BasicQos{PrefetchCount: uint16(o.n), PrefetchSize: uint32(o.size), Global: o.has("global")}
	case "basic.recover":
		m = &amqpproto.BasicRecover{Requeue: o.has("requeue")}
	case "basic.recover-async":
		m = &amqpproto.BasicRecoverAsync{Requeue: o.has("requeue")}
	case "channel.flow":
		m = &amqpproto.ChannelFlow{Active: o.n != 0}
	case "channel.close":
		m = &amqpproto.ChannelClose{ReplyCode: 200, ReplyText: []byte("bye")}
	case "connection.close":
		m = &amqpproto.ConnectionClose{ReplyCode: 200, ReplyText: []byte("bye")}
	case "confirm.select":
		m = &amqpproto.ConfirmSelect{NoWait: o.has("nowait")}
	case "tx.select":
		m = &amqpproto.TxSelect{}
	case "tx.commit":
		m = &amqpproto.TxCommit{}
	case "tx.rollback":
		m = &amqpproto.TxRollback{}
	case "ack-unknown":
		m = &amqpproto.BasicAck{DeliveryTag: uint64(o.n), Multiple: o.has("multiple")}
	case "nack-unknown":
		m = &amqpproto.BasicNack{DeliveryTag: uint64(o.n), Multiple: o.has("multiple"), Requeue: o.has("requeue")}
	case "reject-unknown":
		m = &amqpproto.BasicReject{DeliveryTag: uint64(o.n), Requeue: o.has("requeue")}
	default:
		return nil, 0
	}
	if replies := m.ID().Replies(); len(replies) > 0 && !o.has("nowait") {
		return m, replies[0]
	}
	return m, 0
}

// resolved is a table with the symbols in its strings resolved.
func resolved(t table, name func(string) string) table {
	out := table{}
	for k, v := range t {
		if s, ok := v.(string); ok {
			v = name(s)
		}
		out[k] = v
	}
	return out
}

// properties are the ones of a publish; their table has them by their names.
func (o *operation) properties(name func(string) string) *amqpproto.Properties {
	p := &amqpproto.Properties{}
	for k, v := range o.props {
		switch k {
		case "headers":
			p.Headers = encoded(resolved(v.(table), name))
			p.Flags |= amqpproto.FlagHeaders
		case "delivery-mode":
			p.DeliveryMode = v.(uint8)
			p.Flags |= amqpproto.FlagDeliveryMode
		case "priority":
			p.Priority = v.(uint8)
			p.Flags |= amqpproto.FlagPriority
		case "timestamp":
			p.Timestamp = uint64(v.(int64))
			p.Flags |= amqpproto.FlagTimestamp
		default:
			f := shortProperties[k]
			*f.of(p) = []byte(name(v.(string)))
			p.Flags |= f.flag
		}
	}
	return p
}

var shortProperties = map[string]struct {
	flag uint16
	of   func(*amqpproto.Properties) *[]byte
}{
	"content-type":     {amqpproto.FlagContentType, func(p *amqpproto.Properties) *[]byte { return &p.ContentType }},
	"content-encoding": {amqpproto.FlagContentEncoding, func(p *amqpproto.Properties) *[]byte { return &p.ContentEncoding }},
	"correlation-id":   {amqpproto.FlagCorrelationID, func(p *amqpproto.Properties) *[]byte { return &p.CorrelationID }},
	"reply-to":         {amqpproto.FlagReplyTo, func(p *amqpproto.Properties) *[]byte { return &p.ReplyTo }},
	"expiration":       {amqpproto.FlagExpiration, func(p *amqpproto.Properties) *[]byte { return &p.Expiration }},
	"message-id":       {amqpproto.FlagMessageID, func(p *amqpproto.Properties) *[]byte { return &p.MessageID }},
	"type":             {amqpproto.FlagType, func(p *amqpproto.Properties) *[]byte { return &p.Type }},
	"user-id":          {amqpproto.FlagUserID, func(p *amqpproto.Properties) *[]byte { return &p.UserID }},
	"app-id":           {amqpproto.FlagAppID, func(p *amqpproto.Properties) *[]byte { return &p.AppID }},
	"cluster-id":       {amqpproto.FlagClusterID, func(p *amqpproto.Properties) *[]byte { return &p.ClusterID }},
}
