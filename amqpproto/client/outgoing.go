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
	// Mandatory makes the broker return the message if no queue takes it. (There is no
	// immediate, because RabbitMQ closes the connection for it.)
	Mandatory bool
	// Lent promises that all strings and slices of the message stay unchanged until the
	// outcome. Without it the client makes a copy. A lent body over
	// amqpproto.LargeBody must never change: it is sent without a copy, and this may
	// continue after a timeout was reported. LargeLent promises this only for such a
	// large body.
	Lent, LargeLent bool
	// RawProperties must be made by amqpproto.Properties.Append, because a malformed
	// headers table ends the connection. Empty means none.
	RawProperties []byte
	// Prefix is the first part of the message's body, and Body is the rest. It is for a
	// few octets before a large body, which need not be copied for that. Usually it is
	// empty.
	Prefix []byte
	Body   []byte
	// Group marks the publishes of one turn that are one transaction of the caller:
	// with Config.TxSelect they are committed together or fail together. nil means no
	// group. The value must be comparable, such as a pointer.
	Group any
}

// bodySize is the length of the whole body.
func (o *Outgoing) bodySize() int { return len(o.Prefix) + len(o.Body) }

// kept returns the message in a form that can be kept until its outcome.
func (o *Outgoing) kept() Outgoing {
	k := *o
	if o.Lent {
		return k
	}
	k.Exchange, k.RoutingKey = strings.Clone(o.Exchange), strings.Clone(o.RoutingKey)
	k.Lent = true
	if len(o.Body) > amqpproto.LargeBody && o.LargeLent {
		k.RawProperties, k.Prefix = slices.Clone(o.RawProperties), slices.Clone(o.Prefix)
		return k
	}
	data := make([]byte, 0, len(o.RawProperties)+o.bodySize())
	data = append(append(append(data, o.RawProperties...), o.Prefix...), o.Body...)
	k.RawProperties, k.Prefix, k.Body = data[:len(o.RawProperties):len(o.RawProperties)], nil, data[len(o.RawProperties):]
	return k
}

// own returns a copy of the message that borrows nothing except a large body.
func (o *Outgoing) own() Outgoing {
	k := *o
	k.LargeLent, k.Lent = o.Lent || o.LargeLent, false
	return k.kept()
}

// entryCost is what a publish counts in addition to its octets. It bounds the number
// of empty publishes.
const entryCost = 256

// PropertiesMax is how many octets of properties a publish may have, because a
// content header must fit into one frame.
func (c *Client) PropertiesMax() int {
	frameMax := c.cfg.FrameMax
	if c.isOpen() {
		frameMax = c.conn.frameMax
	}
	return int(frameMax) - amqpproto.ContentHeaderOverhead
}

// check returns an error for a message that cannot be encoded, or whose properties
// would make the broker close the connection, which all producers and consumers
// share. It does not look into the headers table. It leaves the decoded properties
// in c.props.
func (c *Client) check(o *Outgoing, frameMax uint32) error {
	switch {
	case len(o.Exchange) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: exchange name of %d octets, at most 255 fit", len(o.Exchange))
	case len(o.RoutingKey) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: routing key of %d octets, at most 255 fit", len(o.RoutingKey))
	case len(o.RawProperties) > int(frameMax)-amqpproto.ContentHeaderOverhead:
		return fmt.Errorf("amqp client: properties of %d octets do not fit into a frame of frame_max %d: send fewer headers",
			len(o.RawProperties), frameMax)
	case c.bodyLimit > 0 && o.bodySize() > c.bodyLimit:
		return fmt.Errorf("amqp client: body of %d octets: this broker takes %d at most: send less, or raise its max_message_size", o.bodySize(), c.bodyLimit)
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

// send encodes a publish (method, header and body frames) and adds it to the
// confirms. check must have passed it just before. id is the number of the message
// id that we gave it earlier; 0 for none.
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
		out.Buf = amqpproto.AppendContentHeaderID(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(o.bodySize()), o.RawProperties, &c.props, text)
		c.props.MessageID = text // for the hash by which a return is matched
	case len(o.RawProperties) == 0:
		out.Buf = amqpproto.AppendContentHeader(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(o.bodySize()), noProperties)
	default:
		out.Buf = amqpproto.AppendContentHeader(out.Buf, p.ch.number, amqpproto.ClassBasic, uint64(o.bodySize()), o.RawProperties)
	}
	if len(o.Prefix) > 0 {
		out.Body(p.ch.number, o.Prefix, conn.frameMax)
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
		e.content = c.hash.content(&c.props, o.Prefix, o.Body)
	}
	return e
}

// outMark is the size of the output buffer from which publishes wait outside of it.
// The loop stops reading a peer with too much output (1 MiB by default), and then
// the client would see no confirms, no connection.blocked and no heartbeats. Also,
// a publish that waits outside can still expire unsent.
const outMark = 512 << 10

// appendBody appends a body to the output. A large body is lent, not copied.
func appendBody(out *endpoint.Output, channel uint16, body []byte, frameMax uint32) {
	if len(body) > amqpproto.LargeBody {
		out.Lend(channel, body, frameMax, nil)
		return
	}
	out.Body(channel, body, frameMax)
}

// identifies reports whether the publish gets a message id from us. It does if it
// may be resent while its first outcome is unknown: the receiver needs an id to
// recognize the second copy.
func (p *publishChannel) identifies(o *Outgoing) bool {
	c := p.client
	return !c.cfg.NoConfirms && !c.cfg.TxSelect && !c.cfg.KeepIDs && !c.props.Has(amqpproto.FlagMessageID) &&
		len(o.RawProperties)+messageIDRoom <= int(c.conn.frameMax)-amqpproto.ContentHeaderOverhead
}

// noProperties is a set of flags with none set.
var noProperties = []byte{0, 0}
