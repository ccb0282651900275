package client

import (
	"fmt"
	"slices"

	"zamqp/amqpproto"
)

// Outgoing is a message to publish. Publish copies all of it before it returns.
type Outgoing struct {
	Exchange, RoutingKey string // at most 255 octets each
	// Mandatory asks for the message back if no queue takes it. (immediate is not
	// offered: RabbitMQ closes the connection on it.)
	Mandatory bool
	// RawProperties is made by amqpproto.Properties.Append; empty means none. A
	// malformed headers table in it ends the connection, so it must come from there.
	RawProperties []byte
	Body          []byte
}

// entryCost is what a publish costs besides its octets. It bounds the number of
// empty ones.
const entryCost = 96

// check refuses what no encoding fits, and properties that would make the broker
// end the connection, which all producers and consumers share. Only the inside of
// the headers table is not looked at. It leaves the properties in p.props.
func (p *publisher) check(o *Outgoing, frameMax uint32) error {
	switch {
	case len(o.Exchange) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: exchange name of %d octets, at most 255 fit", len(o.Exchange))
	case len(o.RoutingKey) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: routing key of %d octets, at most 255 fit", len(o.RoutingKey))
	case len(o.RawProperties) > int(frameMax)-amqpproto.ContentHeaderOverhead:
		return fmt.Errorf("amqp client: properties of %d octets do not fit into a frame of frame_max %d: send fewer headers",
			len(o.RawProperties), frameMax)
	case len(o.RawProperties) == 0:
		p.props = amqpproto.Properties{}
		return nil
	}
	rest, err := p.props.Decode(o.RawProperties)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d octets too many", len(rest))
	}
	if err != nil {
		return fmt.Errorf("amqp client: malformed properties: make them with amqpproto.Properties.Append: %w", err)
	}
	return nil
}

// pubState is named for what the publish channel waits for.
type pubState uint8

const (
	pubAwaitConnection pubState = iota
	pubAwaitChannel
	pubAwaitSelectOk
	pubReady
	pubAwaitRetry
)

var pubStateNames = [...]string{"awaitConnection", "awaitChannel", "awaitSelectOk", "ready", "awaitRetry"}

// publisher is the channel that all publishes share, so that they keep their
// order and their confirms come in one sequence.
type publisher struct {
	client   *Client
	state    pubState
	ch       *channel
	ledger   ledger
	tx       txState
	stopped  bool // by channel.flow
	backoff  backoff
	retry    deadline
	hash     contentHash
	props    amqpproto.Properties // scratch: of the publish at hand
	returned amqpproto.BasicReturn
}

// String names the state, for errors.
func (p *publisher) String() string { return "publish channel " + pubStateNames[p.state] }

// clear tells that publishes may leave. None may while a transaction is
// committed: RabbitMQ closes the connection for it.
func (p *publisher) clear() bool {
	return p.state == pubReady && p.ch.state == channelOpen && p.ch.await == 0 && !p.client.blocked && !p.stopped && p.client.replay.open && p.client.isOpen()
}

// start opens the channel.
func (p *publisher) start() {
	p.retry.stop()
	p.stopped = false
	ch, err := p.client.conn.openChannel(p)
	if err != nil {
		p.fail(err)
		return
	}
	p.ch, p.state = ch, pubAwaitChannel
}

func (p *publisher) opened() error {
	p.ledger.reset()
	p.tx = txState{end: p.ledger.next}
	if p.client.cfg.TxSelect {
		p.state = pubAwaitSelectOk
		return p.ch.call(&amqpproto.TxSelect{}, amqpproto.IDTxSelectOk)
	}
	if p.client.cfg.NoConfirms {
		p.ready()
		return nil
	}
	p.state = pubAwaitSelectOk
	return p.ch.call(&amqpproto.ConfirmSelect{}, amqpproto.IDConfirmSelectOk)
}

func (p *publisher) answered(id amqpproto.MethodID, _ []byte) error {
	switch {
	case p.state == pubAwaitSelectOk:
		p.ready()
		return nil
	case p.state == pubReady && id == amqpproto.IDTxCommitOk:
		return p.committed()
	}
	return unexpected(p, id)
}

func (p *publisher) ready() {
	p.state = pubReady
	p.backoff.up(p.client.clock.now)
	p.client.stir()
	p.client.noteReady()
}

// onMethod takes the broker's answers.
func (p *publisher) onMethod(id amqpproto.MethodID, args []byte) error {
	switch {
	case p.state != pubReady || p.client.cfg.NoConfirms || p.client.cfg.TxSelect:
	case id == amqpproto.IDBasicAck:
		m := &p.client.conn.ack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return p.settle(id, m.DeliveryTag, m.Multiple, nil)
	case id == amqpproto.IDBasicNack:
		var m amqpproto.BasicNack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return p.settle(id, m.DeliveryTag, m.Multiple, ErrNacked)
	}
	return unexpected(p, id)
}

// settle tells the outcome of one publish, or of all up to tag; tag 0 with
// multiple means all. §1.8.3.13.
func (p *publisher) settle(id amqpproto.MethodID, tag uint64, multiple bool, verdict error) error {
	l := &p.ledger
	first := tag
	if multiple {
		first = l.base
		if tag == 0 {
			tag = l.next - 1
		}
	}
	if tag < l.base || tag >= l.next || !multiple && !l.holds(tag) {
		return connectionError(amqpproto.CommandInvalid, id, "publish %d was never sent or is settled already; %d to %d are not",
			tag, l.base, l.next-1)
	}
	for seq := first; seq <= tag; seq++ {
		if !l.holds(seq) {
			continue
		}
		e := l.settle(seq)
		p.client.settled(&e, verdict)
		if p.state != pubReady {
			return nil // a callback has seen the end of it
		}
	}
	l.shrink()
	return nil
}

// settled counts one answer of the broker and tells it on. A message that was
// returned is acked like any other.
func (c *Client) settled(e *entry, err error) {
	c.unhold(e.size)
	if !e.expired {
		c.undecided--
	}
	switch {
	case err == nil && e.returned != nil:
		err = e.returned
		c.stats.Confirmed++
	case err == nil:
		c.stats.Confirmed++
	default:
		c.stats.Nacked++
	}
	outcome{e.done, err}.tell()
}

// send encodes a publish as its three kinds of frame, side by side, and enters
// it into the ledger. check has passed it just before.
func (p *publisher) send(o *Outgoing, size int, done Confirm) *entry {
	conn := p.client.conn
	out := &conn.out
	out.room()
	// Once, where append would copy a large body several times on its way.
	frames := len(o.Body)/int(conn.frameMax-amqpproto.FrameOverhead) + 3
	out.buf = slices.Grow(out.buf, size+frames*amqpproto.FrameOverhead)
	out.buf = amqpproto.AppendBasicPublish(out.buf, p.ch.number, o.Exchange, o.RoutingKey, o.Mandatory, false)
	properties := o.RawProperties
	if len(properties) == 0 {
		properties = noProperties
	}
	out.buf = amqpproto.AppendContentHeader(out.buf, p.ch.number, amqpproto.ClassBasic, uint64(len(o.Body)), properties)
	out.buf = amqpproto.AppendBody(out.buf, p.ch.number, o.Body, conn.frameMax)
	e := p.ledger.push()
	e.done, e.size, e.end = done, size, out.end()
	if o.Mandatory && !p.client.cfg.NoConfirms {
		e.watched = true
		e.route = p.hash.route(o.Exchange, o.RoutingKey)
		e.content = p.hash.content(&p.props, o.Body)
	}
	return e
}

// noProperties is a set of flags with none set.
var noProperties = []byte{0, 0}

// onChannelOver is called when the broker closed the publish channel, as it does
// when the exchange of any publish does not exist. Nobody can tell which publish
// it was, so all unconfirmed ones end with that error; those that wait go on,
// over a new channel.
func (p *publisher) onChannelOver(cause error) {
	p.ch = nil
	if cause == nil || !p.client.isOpen() {
		return
	}
	cause = explainUse(cause)
	held := p.ledger.take()
	if p.state == pubReady {
		p.client.note(Event{Kind: EventPublishChannelClosed, Err: cause})
		p.start()
	} else {
		p.fail(cause) // it does not even open: not at once again
	}
	p.client.endAll(held, cause)
}

func (p *publisher) fail(cause error) {
	p.state = pubAwaitRetry
	after := p.backoff.next(p.client.rnd, p.client.clock.now)
	p.retry.set(after)
	p.client.rearm = true
	p.client.note(Event{Kind: EventPublishChannelClosed, Err: cause, After: after})
}

// lost forgets the channel, and returns what had no outcome.
func (p *publisher) lost() []entry {
	p.ch, p.state, p.stopped = nil, pubAwaitConnection, false
	p.retry.stop()
	return p.ledger.take()
}

// endAll tells all entries the same error.
func (c *Client) endAll(held []entry, err error) {
	for i := range held {
		c.unhold(held[i].size)
		if !held[i].expired {
			c.undecided--
			c.stats.Unconfirmed++
		}
	}
	for i := range held {
		outcome{held[i].done, err}.tell()
	}
}

// settleSent is how publishes without confirms end: their octets have left.
func (p *publisher) settleSent() {
	l := &p.ledger
	sent := p.client.conn.out.sent
	for l.base < l.next && l.at(l.base).end <= sent {
		e := l.settle(l.base)
		p.client.unhold(e.size)
		if !e.expired {
			p.client.undecided--
		}
		outcome{e.done, nil}.tell()
	}
	l.shrink()
}
