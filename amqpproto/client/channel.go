package client

import (
	"errors"
	"fmt"

	"zamqp/amqpproto"
)

// channelState is named for what the channel waits for. An open channel may also
// wait for the answer to one synchronous method.
type channelState uint8

const (
	awaitChannelOpenOk  channelState = iota
	channelOpen                      // in use
	awaitChannelCloseOk              // we have closed it; everything else is discarded
	channelOver                      // its number is free again
)

var channelStateNames = [...]string{"awaitChannelOpenOk", "open", "awaitChannelCloseOk", "over"}

// owner is what uses a channel: a registration, publishes, gets or requests. An error
// from one of its methods ends the connection.
type owner interface {
	opened() error                                        // channel.open-ok came
	answered(id amqpproto.MethodID, args []byte) error    // the answer to the method came
	onMethod(id amqpproto.MethodID, args []byte) error    // any other method came
	contentMethod(id amqpproto.MethodID) amqpproto.Method // where to decode this method if it may bring content now; nil = it may not
	onContent(ct *content) error                          // a content is complete; its views die at return
	onTooLarge(cause *amqpproto.ChannelError) error       // a header declares more than BodyMax
	onChannelOver(cause error)                            // the channel is gone; nil = closed as asked
}

// channel is one incarnation of a channel number.
type channel struct {
	conn   *Conn
	number uint16
	state  channelState
	owner  owner
	await  amqpproto.MethodID // the answer to the method in flight; 0 = none
	limit  deadline           // the deadline of that answer
	cause  error              // why we closed it
	// unanswered says that we closed it because a method got no answer.
	unanswered bool
	in         content
	counted    int // octets of in that Client.coming includes
}

// String names the channel and what it waits for, for errors.
func (ch *channel) String() string {
	s := fmt.Sprintf("channel %d %s", ch.number, channelStateNames[ch.state])
	if ch.state == channelOpen && ch.await != 0 {
		s += " awaiting " + ch.await.String()
	}
	return s
}

// openChannel opens the channel with the lowest free number. A number is free again
// when close-ok was sent or received; until then its frames may still arrive. §4.7.
func (c *Conn) openChannel(o owner) (*channel, error) {
	n := 1
	for n < len(c.channels) && c.channels[n] != nil {
		n++
	}
	if n > int(c.channelMax) {
		return nil, fmt.Errorf("all %d channels that the broker allows (channel_max) are in use", c.channelMax)
	}
	for len(c.channels) <= n {
		c.channels = append(c.channels, nil)
	}
	ch := &channel{conn: c, number: uint16(n), owner: o}
	ch.in.Init(ch.number, c.client.cfg.BodyMax, nil)
	c.channels[n] = ch
	return ch, ch.request(&amqpproto.ChannelOpen{}, amqpproto.IDChannelOpenOk)
}

// request sends a synchronous method. Only one may be in flight, so that an error is
// always about that one method.
func (ch *channel) request(m amqpproto.Method, answer amqpproto.MethodID) error {
	if ch.await != 0 {
		return fmt.Errorf("%s: %s while another method is in flight", ch, m.ID())
	}
	if err := ch.conn.send(ch.number, m); err != nil {
		return err
	}
	ch.await = answer
	ch.limit.set(ch.conn.client.cfg.HandshakeTimeout)
	ch.conn.client.rearm = true
	return nil
}

// close closes the channel because of cause; nil means that it is no longer needed.
// The owner's onChannelOver is called when the broker has answered.
func (ch *channel) close(cause error) {
	if ch.state >= awaitChannelCloseOk {
		return
	}
	ch.state, ch.cause, ch.await = awaitChannelCloseOk, cause, 0
	ch.in.Reset()
	ch.countBody()
	m := &amqpproto.ChannelClose{ReplyCode: amqpproto.ReplySuccess, ReplyText: []byte("Goodbye")}
	var ce *amqpproto.ChannelError
	if errors.As(cause, &ce) {
		m = ce.CloseMethod()
	}
	_ = ch.request(m, amqpproto.IDChannelCloseOk) // its fields are short enough
}

// onMethod handles every method of this channel.
func (ch *channel) onMethod(id amqpproto.MethodID, args []byte) error {
	if id == amqpproto.IDChannelClose {
		return ch.onClose(args)
	}
	if ch.state == awaitChannelCloseOk {
		if id == amqpproto.IDChannelCloseOk {
			ch.over(ch.cause)
		}
		return nil // sent before the broker saw our close. §1.5.2.5
	}
	if ch.in.Busy() {
		return connectionError(amqpproto.UnexpectedFrame, id, "%s: %s in the middle of a content", ch, id)
	}
	if ch.await != 0 && id == ch.await {
		ch.await = 0
		ch.limit.stop()
		if ch.state == awaitChannelOpenOk {
			ch.state = channelOpen
			return ch.owner.opened()
		}
		return ch.owner.answered(id, args)
	}
	if ch.state != channelOpen {
		return unexpected(ch, id)
	}
	if m := ch.owner.contentMethod(id); m != nil {
		return ch.in.begin(m, args)
	}
	if id == amqpproto.IDChannelFlow {
		return ch.onFlow(args)
	}
	return ch.owner.onMethod(id, args)
}

// onClose answers channel.close. If both sides close at once, the broker must still
// answer ours, so the number stays in use.
func (ch *channel) onClose(args []byte) error {
	var m amqpproto.ChannelClose
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if err := ch.conn.send(ch.number, &amqpproto.ChannelCloseOk{}); err != nil {
		return err
	}
	if ch.state == awaitChannelCloseOk {
		return nil
	}
	ch.conn.client.stats.ChannelErrors++
	ch.over(m.Err(ch.number))
	return nil
}

// onFlow handles channel.flow, with which a broker stops content. We stop publishes and
// requests only, because acks are not content. §1.5.2.3.
func (ch *channel) onFlow(args []byte) error {
	var m amqpproto.ChannelFlow
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn.client
	switch o := ch.owner.(type) {
	case *publishChannel:
		o.stopped = !m.Active
		c.wakeWaiting()
	case *requestChannel:
		o.stopped = !m.Active
		c.wakeWaiting()
	}
	return ch.conn.send(ch.number, &amqpproto.ChannelFlowOk{Active: m.Active})
}

func (ch *channel) over(cause error) {
	ch.state, ch.await = channelOver, 0
	ch.limit.stop()
	ch.in.Reset()
	ch.countBody()
	ch.conn.channels[ch.number] = nil
	ch.owner.onChannelOver(cause)
}

// silentMax bounds the channels of a connection that no longer answer.
const silentMax = 64

// expire is called when the answer did not come in time. In RabbitMQ a channel waits
// for its queue. If the queue is broken, such as a quorum queue without a leader, the
// channel never answers again, not even to channel.close. Such a channel is left
// alone and its number stays in use, because the other channels of the connection
// work. If a broker does not answer a channel.close that had another reason, the
// connection is ended.
func (ch *channel) expire() {
	err := fmt.Errorf("%s: no answer within %v", ch, ch.conn.client.cfg.HandshakeTimeout)
	switch {
	case ch.state != awaitChannelCloseOk:
		ch.close(err)
		ch.unanswered = true
	case ch.unanswered && ch.conn.silent < silentMax:
		ch.conn.silent++
		ch.limit.stop()
		owner := ch.owner
		ch.owner = forgotten{ch.conn}
		owner.onChannelOver(ch.cause)
	default:
		ch.conn.abort(err)
	}
}

// forgotten owns a channel that does not answer, until it does.
type forgotten struct{ conn *Conn }

func (forgotten) opened() error                                     { return nil }
func (forgotten) answered(amqpproto.MethodID, []byte) error         { return nil }
func (forgotten) onMethod(amqpproto.MethodID, []byte) error         { return nil }
func (forgotten) contentMethod(amqpproto.MethodID) amqpproto.Method { return nil }
func (forgotten) onContent(*content) error                          { return nil }
func (forgotten) onTooLarge(*amqpproto.ChannelError) error          { return nil }
func (f forgotten) onChannelOver(error)                             { f.conn.silent-- }
