package differential_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"zamqp/amqpproto"
)

// A program that begins with "trace" has the firehose copy everything that it does to a
// queue, and "copies", its last operation, shows the content of that queue. Copies from
// several channels come in no order that could be compared.

// trace begins to listen to the firehose, which prepare has turned on.
func (r *run) trace(o *operation) {
	e := r.observer
	if !e.ready(observing) {
		return
	}
	queue := []byte(r.name(o.queue))
	e.call(observing, &amqpproto.QueueDeclare{Queue: queue}, amqpproto.IDQueueDeclareOk)
	e.call(observing, &amqpproto.QueueBind{Queue: queue, Exchange: []byte("amq.rabbitmq.trace"), RoutingKey: []byte("#")}, amqpproto.IDQueueBindOk)
	r.traced = true
}

// copies shows what has been copied.
func (r *run) copies(o *operation) {
	e := r.observer
	if !r.traced || !e.ready(observing) {
		return
	}
	// A copy is made beside what it is a copy of: the last may be on their way.
	for calm := 0; calm < 3; {
		e.l.send(observing, &amqpproto.BasicGet{Queue: []byte(r.name(o.queue)), NoAck: true})
		m, err := e.l.next(time.Now().Add(patience))
		switch {
		case err != nil:
			r.say("", "no copies: %v", err)
			e.drop()
			return
		case m.id == amqpproto.IDBasicGetOk:
			r.say("", "%s", traceCopy(m))
			calm = 0
		default:
			calm++
			time.Sleep(20 * time.Millisecond)
		}
	}
	slices.SortFunc(r.lines, func(a, b line) int { return strings.Compare(a.text, b.text) })
}

// traceCopy shows a copy without the parts that each broker decides by itself.
func traceCopy(m *message) string {
	x := m.method.(*amqpproto.BasicGetOk)
	var p amqpproto.Properties
	if _, err := p.Decode(m.props); err != nil {
		return "properties that are none"
	}
	var out []string
	exchange, routed := "", []string{}
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		switch name := string(key); name {
		case "node", "connection": // each has its own
		case "routed_queues":
			_ = v.Each(func(v amqpproto.Field) bool { routed = append(routed, field(v, "")); return true })
		default:
			if name == "exchange_name" {
				b, _ := v.Bytes()
				exchange = string(b)
			}
			out = append(out, name+":"+field(v, "/"+name))
		}
		return true
	})
	slices.Sort(out)
	if exchange != "" { // a known difference: RabbitMQ names queues that are not there
		slices.Sort(routed)
		out = append(out, fmt.Sprint("routed_queues:", routed))
	}
	return fmt.Sprintf("copy %q %s %s", x.RoutingKey, strings.Join(out, " "), body(m.body))
}
