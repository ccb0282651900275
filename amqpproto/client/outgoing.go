package client

import (
	"fmt"
	"slices"
	"strings"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// Outgoing is a message to publish.
type Outgoing struct {
	Exchange, RoutingKey string // at most 255 octets each
	// Mandatory asks for the message back if no queue takes it. (immediate is not
	// offered: RabbitMQ closes the connection on it.)
	Mandatory bool
	// Lent promises that all strings and slices of the message stay as they are
	// until the outcome is told. Otherwise the client makes a copy. A body over
	// amqpproto.LargeBody is never written to again: it is not copied, but sent from
	// where it is, which may go on when a timeout was told. LargeLent promises that of
	// such a body alone.
	Lent, LargeLent bool
	// RawProperties is made by amqpproto.Properties.Append; empty means none. A
	// malformed headers table in it ends the connection, so it must come from there.
	RawProperties []byte
	Body          []byte
	// Group joins publishes of one turn that are one transaction of the caller: with
	// Config.TxSelect they are committed together or fail together. nil joins
	// nothing; else it is comparable, as a pointer is.
	Group any
}

// kept is the message for as long as it has no outcome.
func (o *Outgoing) kept() Outgoing {
	k := *o
	if o.Lent {
		return k
	}
	k.Exchange, k.RoutingKey = strings.Clone(o.Exchange), strings.Clone(o.RoutingKey)
	k.Lent = true
	if len(o.Body) > amqpproto.LargeBody && o.LargeLent {
		k.RawProperties = slices.Clone(o.RawProperties)
		return k
	}
	data := make([]byte, 0, len(o.RawProperties)+len(o.Body))
	data = append(append(data, o.RawProperties...), o.Body...)
	k.RawProperties, k.Body = data[:len(o.RawProperties):len(o.RawProperties)], data[len(o.RawProperties):]
	return k
}

// own is the message without anything lent but a large body.
func (o *Outgoing) own() Outgoing {
	k := *o
	k.LargeLent, k.Lent = o.Lent || o.LargeLent, false
	return k.kept()
}

// entryCost is what a publish costs besides its octets. It bounds the number of
// empty ones.
const entryCost = 256

// PropertiesMax is how many octets of properties a publish may have: a content
// header has to fit into one frame.
func (c *Client) PropertiesMax() int {
	frameMax := c.cfg.FrameMax
	if c.isOpen() {
		frameMax = c.conn.frameMax
	}
	return int(frameMax) - amqpproto.ContentHeaderOverhead
}

// check refuses what no encoding fits, and properties that would make the broker
// end the connection, which all producers and consumers share. Only the inside of
// the headers table is not looked at. It leaves the properties in c.props.
func (c *Client) check(o *Outgoing, frameMax uint32) error {
	switch {
	case len(o.Exchange) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: exchange name of %d octets, at most 255 fit", len(o.Exchange))
	case len(o.RoutingKey) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: routing key of %d octets, at most 255 fit", len(o.RoutingKey))
	case len(o.RawProperties) > int(frameMax)-amqpproto.ContentHeaderOverhead:
		return fmt.Errorf("amqp client: properties of %d octets do not fit into a frame of frame_max %d: send fewer headers",
			len(o.RawProperties), frameMax)
	case c.bodyLimit > 0 && len(o.Body) > c.bodyLimit:
		return fmt.Errorf("amqp client: body of %d octets: this broker takes %d at most: send less, or raise its max_message_size", len(o.Body), c.bodyLimit)
	case len(o.RawProperties) == 0:
		c.props = amqpproto.Properties{}
		return nil
	}
	rest, err := c.props.Decode(o.RawProperties)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d octets too many", len(rest))
	}
	if err != nil {
		return fmt.Errorf("amqp client: malformed properties: make them with amqpproto.Properties.Append: %w", err)
	}
	return c.has.missingExpiration(&c.props)
}

// send encodes a publish as its three kinds of frame, side by side, and enters
// it into the confirms. check has passed it just before, and id is the number of
// the message id that it has had from us; 0 for none.
func (p *publishChannel) send(o *Outgoing, size int, done Confirm, id uint64) *entry {
	c := p.client
	conn := c.conn
	out := &conn.out
	out.Room()
	if len(o.Body) > amqpproto.LargeBody && !o.Lent {
		own := o.kept()
		o = &own
	}
	out.Grow(size-len(o.Body), o.Body, conn.frameMax)
	out.Buf = amqpproto.AppendBasicPublish(out.Buf, p.ch.number, o.Exchange, o.RoutingKey, o.Mandatory, false)
	e := p.confirms.push()
	e.done, e.size, e.id = done, size, id
	if id == 0 && p.identifies(o) {
		e.id = c.ids.next()
	}
	switch {
	case e.id != 0:
		text := c.ids.text(e.id)
		out.Buf = amqpproto.AppendContentHeaderID(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(len(o.Body)), o.RawProperties, &c.props, text)
		c.props.MessageID = text // for the hash of what comes back
	case len(o.RawProperties) == 0:
		out.Buf = amqpproto.AppendContentHeader(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(len(o.Body)), noProperties)
	default:
		out.Buf = amqpproto.AppendContentHeader(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(len(o.Body)), o.RawProperties)
	}
	appendBody(out, p.ch.number, o.Body, conn.frameMax)
	e.end = out.End()
	if c.cfg.NoConfirms {
		return e
	}
	if e.out = *o; !o.Lent {
		e.out = o.kept()
	}
	if !c.cfg.TxSelect {
		e.out.Group = nil
	}
	if o.Mandatory {
		e.watched = true
		e.route = c.hash.route(o.Exchange, o.RoutingKey)
		e.content = c.hash.content(&c.props, o.Body)
	}
	return e
}

// outMark is how much may wait in the output before publishes wait outside of it.
// A loop stops reading a peer whose output piles up (1 MiB by default), and a
// client that is not read sees neither confirms nor connection.blocked nor
// heartbeats. What waits outside can still expire unsent, too.
const outMark = 512 << 10

// appendBody appends a body to the output, and lends one that is large: it stays
// as it is.
func appendBody(out *endpoint.Output, channel uint16, body []byte, frameMax uint32) {
	if len(body) > amqpproto.LargeBody {
		out.Lend(channel, body, frameMax, nil)
		return
	}
	out.Body(channel, body, frameMax)
}

// identifies tells whether a publish is to get a message id: where it may be sent
// again without knowing what became of it, a receiver needs one to tell the
// second copy.
func (p *publishChannel) identifies(o *Outgoing) bool {
	c := p.client
	return !c.cfg.NoConfirms && !c.cfg.TxSelect && !c.cfg.KeepIDs && !c.props.Has(amqpproto.FlagMessageID) &&
		len(o.RawProperties)+messageIDRoom <= int(c.conn.frameMax)-amqpproto.ContentHeaderOverhead
}

// noProperties is a set of flags with none set.
var noProperties = []byte{0, 0}
