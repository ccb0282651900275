package differential_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"zamqp/amqpproto"
)

// end is one connection of a run, opened when it is first used and again when
// it is used after it was closed.
type end struct {
	r        *run
	name     string
	l        *link
	channels map[uint16]*channel
	watchful bool // see what happens to the socket after close-ok
}

// channel is what the client knows of one of its channels.
type channel struct {
	open        bool
	tx, confirm bool
	sent        uint64          // publishes since confirm.select
	unsure      map[uint64]bool // not confirmed
	acks, nacks []uint64        // of this step
	lastTag     uint64
	unsettled   []*delivery
	undecided   []*delivery     // settled in a transaction that is open
	noAck       map[string]bool // consumer tags
	marks       int             // markers that came
	replies     int
	awaited     amqpproto.MethodID
	doing       *operation // whose reply is awaited
	figures     string
}

// delivery is a message that the client has to settle.
type delivery struct {
	tag  uint64
	step int
	from string // the consumer, or the queue of a get
}

// observing is the channel on which figures are asked for.
const observing = channelMax

// ready opens the connection and the channel if they are not.
func (e *end) ready(ch uint16) bool {
	if e.l == nil {
		l, err := dial(e.r.b.addr)
		if err == nil {
			if err = l.open(e.r.b.user, e.r.b.password, e.r.b.vhost); err != nil {
				l.close()
			}
		}
		if err != nil {
			e.r.say("", "%s: cannot connect: %v", e.name, err)
			return false
		}
		e.l, e.channels = l, map[uint16]*channel{}
	}
	if ch == 0 {
		return true
	}
	c := e.channels[ch]
	if c == nil {
		c = &channel{}
		e.channels[ch] = c
	}
	if !c.open {
		*c = channel{open: true, noAck: map[string]bool{}, unsure: map[uint64]bool{}}
		e.l.send(ch, &amqpproto.ChannelOpen{})
		c.awaited = amqpproto.IDChannelOpenOk
		e.await(func() bool { return c.replies > 0 || !c.open })
	}
	return c.open && e.l != nil
}

// marker is a call without effect: its reply says that everything before it has been handled.
var marker = &amqpproto.ExchangeDeclare{Exchange: []byte("amq.direct"), Passive: true}

// call sends a method, for its effect only.
func (e *end) call(ch uint16, m amqpproto.Method, reply amqpproto.MethodID) {
	c := e.channels[ch]
	c.replies, c.awaited = 0, reply
	e.l.send(ch, m)
	e.await(func() bool { return c.replies > 0 || !c.open })
}

// await reads until done, or the connection has ended, or nothing comes.
func (e *end) await(done func() bool) {
	deadline := time.Now().Add(patience)
	for e.l != nil && !done() {
		m, err := e.l.next(deadline)
		switch {
		case err == nil:
			e.take(m)
		case err == errSilent:
			e.r.say(e.name+" 8", "%s: SILENT for %v", e.name, patience)
			e.drop()
		default:
			e.r.say(e.name+" 9", "%s: end of stream", e.name)
			e.drop()
		}
	}
}

// drop forgets a connection that has ended.
func (e *end) drop() {
	if e.l == nil {
		return
	}
	e.l.close()
	e.l = nil
	busy := 0
	for _, c := range e.channels {
		if len(c.noAck) > 0 || len(c.unsettled) > 0 || len(c.undecided) > 0 {
			busy++
		}
		c.open = false
	}
	e.r.dying = e.r.dying || busy > 1
}

// take sorts one message into the step.
func (e *end) take(m *message) {
	c := e.channels[m.channel]
	if m.channel == 0 {
		e.takeConnection(m)
		return
	}
	if c == nil {
		e.r.say(e.name+" 7", "%s.%d: on a channel that is not open: %s", e.name, m.channel, show(m))
		return
	}
	switch x := m.method.(type) {
	case *amqpproto.ChannelClose:
		e.l.send(m.channel, &amqpproto.ChannelCloseOk{})
		c.open, c.unsettled, c.undecided, c.figures = false, nil, nil, show(m)
		if m.channel == observing {
			return
		}
	case *amqpproto.ChannelCloseOk:
		c.open, c.unsettled, c.undecided = false, nil, nil
	case *amqpproto.ExchangeDeclareOk:
		if c.awaited != m.id || c.replies > 0 {
			c.marks++
			return
		}
	case *amqpproto.QueueDeclareOk:
		if m.channel == observing {
			c.figures = show(m)
			c.replies++
			return
		}
	case *amqpproto.BasicAck:
		c.settle(x.DeliveryTag, x.Multiple, &c.acks)
		return
	case *amqpproto.BasicNack:
		c.settle(x.DeliveryTag, x.Multiple, &c.nacks)
		return
	}
	if m.id == c.awaited || m.id == amqpproto.IDBasicGetEmpty {
		c.replies++
	}
	if e == e.r.observer || m.id == amqpproto.IDChannelOpenOk {
		return
	}
	e.note(c, m)
	e.r.say(e.group(m), "%s.%d: %s%s", e.name, m.channel, show(m), e.deliver(c, m))
}

func (e *end) takeConnection(m *message) {
	if m.id == amqpproto.IDConnectionClose {
		e.l.send(0, &amqpproto.ConnectionCloseOk{})
	}
	e.r.say(e.name+" 9", "%s: %s", e.name, show(m))
	// After close-ok it is for the client to hang up; RabbitMQ waits for that.
	if m.id == amqpproto.IDConnectionCloseOk && e.watchful {
		e.r.say(e.name+" 9", "%s: %s", e.name, e.l.afterClose())
	}
	if m.fault != "" || m.id == amqpproto.IDConnectionCloseOk {
		e.drop()
	}
}

// group sorts a message among those of its step. On one channel, replies come
// in order, and so do the deliveries to one consumer; all else is independent.
func (e *end) group(m *message) string {
	kind := "0"
	switch x := m.method.(type) {
	case *amqpproto.BasicReturn:
		kind = "1"
	case *amqpproto.BasicDeliver:
		kind = "2 " + string(x.ConsumerTag)
	case *amqpproto.BasicCancel:
		kind = "3 " + string(x.ConsumerTag)
	case *amqpproto.ChannelClose:
		kind = "5"
	}
	return fmt.Sprintf("%s %02d %s", e.name, m.channel, kind)
}

// deliver counts a delivery, and returns what is wrong with its tag: tags must count up by
// one.
func (e *end) deliver(c *channel, m *message) (wrong string) {
	var tag uint64
	var from string
	noAck := false
	switch x := m.method.(type) {
	case *amqpproto.BasicDeliver:
		tag, from = x.DeliveryTag, string(x.ConsumerTag)
		var known bool
		if noAck, known = c.noAck[from]; !known {
			wrong = " TO AN UNKNOWN CONSUMER"
		}
	case *amqpproto.BasicGetOk:
		tag, from = x.DeliveryTag, "get"
		noAck = c.noAck["get"]
	default:
		return ""
	}
	var p amqpproto.Properties
	if _, err := p.Decode(m.props); err == nil && p.Has(amqpproto.FlagReplyTo) {
		e.r.reply = string(p.ReplyTo)
	}
	if tag != c.lastTag+1 {
		wrong += fmt.Sprintf(" TAG %d AFTER %d", tag, c.lastTag)
	}
	c.lastTag = tag
	if !noAck {
		c.unsettled = append(c.unsettled, &delivery{tag, e.r.now, from})
	}
	return wrong
}

// settle counts a confirm. The broker decides how many publishes one confirm covers.
func (c *channel) settle(tag uint64, multiple bool, list *[]uint64) {
	for t := range c.unsure {
		if t == tag || multiple && (t < tag || tag == 0) {
			*list = append(*list, t)
			delete(c.unsure, t)
		}
	}
}

// awaitConfirms waits until every publish so far is confirmed.
func (e *end) awaitConfirms() {
	for _, c := range e.channels {
		if len(c.unsure) == 0 || !c.open || e.l == nil {
			continue
		}
		e.await(func() bool { return len(c.unsure) == 0 || !c.open })
	}
}

// confirmed adds the step's confirms to its lines.
func (e *end) confirmed() {
	for _, n := range sortedKeys(e.channels) {
		c := e.channels[n]
		for _, list := range []struct {
			word string
			tags *[]uint64
		}{{"confirmed", &c.acks}, {"refused", &c.nacks}} {
			if len(*list.tags) > 0 {
				slices.Sort(*list.tags)
				e.r.say(fmt.Sprintf("%s %02d 4", e.name, n), "%s.%d: %s %s", e.name, n, list.word, strings.Trim(fmt.Sprint(*list.tags), "[]"))
				*list.tags = nil
			}
		}
	}
}

// markers sends one marker on each open channel and waits for all.
func (e *end) markers() {
	if e.l == nil {
		return
	}
	for n, c := range e.channels {
		if c.open && n != observing {
			c.marks = 0
			e.l.send(n, marker)
		}
	}
	e.await(func() bool {
		for n, c := range e.channels {
			if c.open && n != observing && c.marks == 0 {
				return false
			}
		}
		return true
	})
}

// figures asks for one queue; "" when there is no connection to ask on.
func (e *end) figures(name string) string {
	if e.l == nil && e != e.r.observer || !e.ready(observing) {
		return ""
	}
	c := e.channels[observing]
	c.figures = ""
	e.call(observing, &amqpproto.QueueDeclare{Queue: []byte(name), Passive: true}, amqpproto.IDQueueDeclareOk)
	return c.figures
}

// finish closes the connection with connection.close.
func (e *end) finish() {
	if e.l == nil {
		return
	}
	e.l.send(0, &amqpproto.ConnectionClose{ReplyCode: 200})
	e.await(func() bool { return false })
}

func sortedKeys[V any](m map[uint16]V) []uint16 {
	var keys []uint16
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
