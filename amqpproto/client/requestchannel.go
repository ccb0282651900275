package client

import (
	"errors"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// directReplyTo is a pseudo-queue: RabbitMQ delivers what is published to it to the
// consumer on the channel that the request came from.
const directReplyTo = "amq.rabbitmq.reply-to"

// requestState is named for what the channel of the requests waits for.
type requestState uint8

const (
	requestIdle requestState = iota // the first request opens it
	requestAwaitChannel
	requestAwaitSelectOk
	requestAwaitDeclareOk
	requestAwaitConsumeOk
	requestReady
	requestAwaitRetry
)

var requestStateNames = [...]string{"idle", "awaitChannel", "awaitSelectOk", "awaitDeclareOk", "awaitConsumeOk", "ready", "awaitRetry"}

// A requestChannel sends requests and receives their replies: direct reply-to needs
// both on one channel. It is not the publish channel, so that errors of publishes do
// not end requests. A client has three: see requests.lane.
type requestChannel struct {
	*requests
	state   requestState
	ch      *channel
	stopped bool  // by channel.flow
	err     error // why it cannot be set up
	backoff backoff
	retry   deadline

	sequence endpoint.Sequence[RequestID] // the request of each publish on the channel; 0 = it is settled
	open     int                          // requests that were sent and have no confirm and no reply yet
	replyTo  []byte
	owned    bool   // replyTo is a queue that outlives the channel
	tag      string // of our consumer
	props    amqpproto.Properties
	scratch  []byte // for properties and correlation id
	returned amqpproto.BasicReturn
	delivery Delivery // lent to the Reply
}

func newRequestChannel(t *requests) *requestChannel {
	return &requestChannel{requests: t, backoff: t.client.backoff}
}

// sequenceKeep is the length of the ring that an idle request channel keeps.
const sequenceKeep = 4096

// clear reports whether requests may be sent.
func (t *requestChannel) clear() bool {
	return t.state == requestReady && t.ch.state == channelOpen && !t.stopped && !t.client.blocked && t.client.replay.open && t.client.isOpen()
}

// start opens the channel, if there is none.
func (t *requestChannel) start() {
	if t.state != requestIdle || !t.client.isOpen() {
		return
	}
	ch, err := t.client.conn.openChannel(t)
	if err != nil {
		t.fail(err)
		return
	}
	t.ch, t.state, t.stopped = ch, requestAwaitChannel, false
}

func (t *requestChannel) opened() error {
	t.sequence.Reset()
	t.sequence.Shrink(sequenceKeep)
	if !t.client.confirmsRequests() {
		return t.selected()
	}
	t.state = requestAwaitSelectOk
	return t.ch.request(&amqpproto.ConfirmSelect{}, amqpproto.IDConfirmSelectOk)
}

// selected continues with the queue for the replies.
func (t *requestChannel) selected() error {
	if !t.client.cfg.ReplyQueue {
		t.replyTo = append(t.replyTo[:0], directReplyTo...)
		return t.consume()
	}
	if t.owned {
		return t.consume()
	}
	t.state = requestAwaitDeclareOk
	return t.ch.request(&amqpproto.QueueDeclare{Exclusive: true}, amqpproto.IDQueueDeclareOk)
}

func (t *requestChannel) consume() error {
	t.state = requestAwaitConsumeOk
	m := &amqpproto.BasicConsume{Queue: t.replyTo, NoAck: true}
	return t.ch.request(m, amqpproto.IDBasicConsumeOk)
}

func (t *requestChannel) answered(id amqpproto.MethodID, args []byte) error {
	switch t.state {
	case requestAwaitSelectOk:
		return t.selected()
	case requestAwaitDeclareOk:
		var m amqpproto.QueueDeclareOk
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		t.replyTo, t.owned = append(t.replyTo[:0], m.Queue...), true
		return t.consume()
	case requestAwaitConsumeOk:
		var m amqpproto.BasicConsumeOk
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		t.tag = string(m.ConsumerTag)
		t.state, t.err, t.woken = requestReady, nil, true
		t.backoff.up(t.client.clock.now)
		return nil
	}
	return unexpected(t, id)
}

// send encodes a request. check has just passed it and left its properties.
func (t *requestChannel) send(id RequestID, o *Outgoing) {
	p := &t.client.props
	b := t.appendCorrelation(t.scratch[:0], id)
	p.CorrelationID, p.ReplyTo = b, t.replyTo
	p.Flags |= amqpproto.FlagCorrelationID | amqpproto.FlagReplyTo
	b, err := p.Append(b)
	if err != nil { // cannot happen: it was decoded before
		t.client.soon(func() { t.end(id, nil, err) })
		return
	}
	t.scratch = b
	conn := t.client.conn
	out := &conn.out
	out.Room()
	properties := b[correlationSize:]
	if len(o.Body) > amqpproto.LargeBody && !o.Lent {
		own := o.kept()
		o = &own
	}
	out.Grow(len(properties)+len(o.Exchange)+len(o.RoutingKey)+len(o.Prefix)+64, o.Body, conn.frameMax)
	out.Buf = amqpproto.AppendBasicPublish(out.Buf, t.ch.number, o.Exchange, o.RoutingKey, o.Mandatory, false)
	out.Buf = amqpproto.AppendContentHeader(out.Buf, t.ch.number, amqpproto.ClassBasic, uint64(o.bodySize()), properties)
	if len(o.Prefix) > 0 {
		out.Body(t.ch.number, o.Prefix, conn.frameMax)
	}
	appendBody(out, t.ch.number, o.Body, conn.frameMax)
	k := t.find(id)
	k.keep(o)
	k.via, k.received = t, false
	t.open++
	t.sent++
	k.order = t.sent
	if t.client.confirmsRequests() {
		*t.sequence.Push() = id
	}
}

// onMethod handles confirms. After an ack the request still waits for its reply.
func (t *requestChannel) onMethod(id amqpproto.MethodID, args []byte) error {
	switch {
	case id == amqpproto.IDBasicAck && t.state == requestReady:
		m := &t.client.conn.ack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return t.settle(id, m.DeliveryTag, m.Multiple, nil)
	case id == amqpproto.IDBasicNack && t.state == requestReady:
		var m amqpproto.BasicNack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return t.settle(id, m.DeliveryTag, m.Multiple, ErrNacked)
	case id == amqpproto.IDBasicCancel && t.state == requestReady:
		t.owned = false
		t.ch.close(errors.New("the queue of the replies was deleted"))
		return nil
	}
	return unexpected(t, id)
}

func (t *requestChannel) settle(id amqpproto.MethodID, tag uint64, multiple bool, result error) error {
	l := &t.sequence
	first, tag, ok := l.Range(tag, multiple)
	if !ok || !multiple && *l.At(tag) == 0 {
		return connectionError(amqpproto.CommandInvalid, id, "request %d was never sent or is settled already; %d to %d are not",
			tag, l.Base(), l.Next()-1)
	}
	for seq := first; seq <= tag; seq++ {
		p := l.At(seq)
		request := *p
		*p = 0
		if result == nil {
			t.brokerHas(request)
			continue
		}
		if t.find(request) == nil {
			continue
		}
		t.client.stats.Nacked++
		t.end(request, nil, result)
		if t.state != requestReady {
			return nil // the channel ended during a callback
		}
	}
	for l.Len() > 0 && *l.At(l.Base()) == 0 {
		l.Pass()
	}
	l.Shrink(sequenceKeep)
	return nil
}

// contentMethod accepts replies and returns.
func (t *requestChannel) contentMethod(id amqpproto.MethodID) amqpproto.Method {
	switch {
	case t.state != requestReady:
	case id == amqpproto.IDBasicDeliver:
		return &t.ch.conn.deliver
	case id == amqpproto.IDBasicReturn:
		return &t.returned
	}
	return nil
}

func (t *requestChannel) onContent(ct *content) error {
	if ct.Method() == amqpproto.IDBasicDeliver {
		m := &t.ch.conn.deliver
		if err := m.DecodeArgs(ct.Args()); err != nil {
			return err
		}
		c := ct.Content()
		t.delivery.Owned = c.Owned
		err := t.deliver(m, c.RawProperties, c.Body)
		t.delivery.Owned = false
		return err
	}
	properties := ct.Content().RawProperties
	m := &t.returned
	if err := m.DecodeArgs(ct.Args()); err != nil {
		return err
	}
	e := &ReturnError{Code: m.ReplyCode, Text: string(m.ReplyText), Exchange: string(m.Exchange), RoutingKey: string(m.RoutingKey)}
	t.client.stats.Returned++
	t.client.note(Event{Kind: EventReturned, Err: e})
	if _, err := t.props.Decode(properties); err == nil {
		t.end(t.correlated(t.props.CorrelationID), nil, e)
	}
	return nil
}

// deliver hands a reply to the request that waits for it. All slices are views.
func (t *requestChannel) deliver(m *amqpproto.BasicDeliver, properties, body []byte) error {
	if string(m.ConsumerTag) != t.tag {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicDeliver,
			"%s: delivery for consumer tag %q, ours is %q", t, m.ConsumerTag, t.tag)
	}
	var id RequestID
	if _, err := t.props.Decode(properties); err == nil {
		id = t.correlated(t.props.CorrelationID)
	}
	if t.find(id) == nil {
		t.client.stats.LateReplies++
		return nil
	}
	t.brokerHas(id)
	t.client.stats.Replies++
	d := &t.delivery
	d.Tag, d.Redelivered = m.DeliveryTag, m.Redelivered
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = m.Exchange, m.RoutingKey, properties, body
	t.end(id, d, nil)
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = nil, nil, nil, nil
	return nil
}

// onTooLarge handles a reply over BodyMax. Without its properties we cannot know
// which request it belongs to, so all requests under way end with the channel. Later
// requests get a new channel.
func (t *requestChannel) onTooLarge(cause *amqpproto.ChannelError) error {
	t.ch.close(cause)
	return nil
}

// onChannelOver is called when the channel has ended. Replies to the requests under
// way can no longer come over it.
func (t *requestChannel) onChannelOver(cause error) {
	t.ch = nil
	if !t.client.isOpen() {
		return
	}
	cause = explainUse(cause)
	was := t.state
	t.state = requestIdle
	if was != requestReady {
		t.owned = false
		t.fail(cause) // it could not be set up, so the next try has to wait
		t.endAll(&ReplyLostError{Connection: t.client.cfg.Name, Cause: cause}, false)
		t.endAll(cause, true)
		return
	}
	t.client.note(Event{Kind: EventRequestChannelClosed, Err: cause})
	t.settleEnded(cause)
}

func (t *requestChannel) fail(cause error) {
	t.err = cause
	t.state = requestAwaitRetry
	after := t.backoff.next(t.client.rnd, t.client.clock.now)
	t.retry.set(after)
	t.client.rearm = true
	t.client.note(Event{Kind: EventRequestChannelClosed, Err: cause, After: after})
}

// endAll ends the requests that were sent over this channel and, with unsent, also
// those that wait for it.
func (t *requestChannel) endAll(err error, unsent bool) {
	var over []RequestID
	for slot := range t.slots {
		if k := &t.slots[slot]; k.reply != nil && (k.via == t || unsent && k.via == nil && t.lane(k) == t) {
			over = append(over, t.id(uint32(slot)))
		}
	}
	for _, id := range over {
		t.end(id, nil, err)
	}
}

// lost forgets the channel. Requests that were not sent wait for the next one.
func (t *requestChannel) lost(err error) {
	t.ch, t.state, t.owned = nil, requestIdle, false
	t.retry.stop()
	t.endAll(err, t.client.closing)
}

// String names the channel and its state, for errors.
func (t *requestChannel) String() string { return "channel of requests " + requestStateNames[t.state] }
