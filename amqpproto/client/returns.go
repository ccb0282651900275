package client

import (
	"hash/maphash"
	"math/bits"

	"zamqp/amqpproto"
)

// contentHash makes the two hashes by which a returned message is found again
// among the unconfirmed: basic.return does not carry the publish's number.
type contentHash struct{ seed maphash.Seed }

// hashEnd is how much of either end of a body is hashed. Two unconfirmed
// messages with equal names, ids, length and ends that differ only in between
// are taken for each other.
const hashEnd = 4096

// join makes one hash of two, in which their order counts.
func join(a, b uint64) uint64 { return bits.RotateLeft64(a, 23)*0x9e3779b97f4a7c15 ^ b }

func (x contentHash) route(exchange, key string) uint64 {
	return join(maphash.String(x.seed, exchange), maphash.String(x.seed, key))
}

// content hashes what tells messages of one route apart. Of the properties only
// the ids, as a broker may encode the others anew.
func (x contentHash) content(p *amqpproto.Properties, body []byte) uint64 {
	h := join(uint64(len(body)), maphash.Bytes(x.seed, p.MessageID))
	h = join(h, maphash.Bytes(x.seed, p.CorrelationID))
	if len(body) > 2*hashEnd {
		h = join(h, maphash.Bytes(x.seed, body[:hashEnd]))
		body = body[len(body)-hashEnd:]
	}
	return join(h, maphash.Bytes(x.seed, body))
}

// contentMethod lets returns in: the only content of the publish channel.
func (p *publishChannel) contentMethod(id amqpproto.MethodID) amqpproto.Method {
	if id != amqpproto.IDBasicReturn {
		return nil
	}
	return &p.returned
}

// onContent takes a returned message. RabbitMQ sends it before the ack of the
// same publish, so the error waits among the confirms for that.
func (p *publishChannel) onContent(ct *content) error {
	m := &p.returned
	if err := m.DecodeArgs(ct.Args()); err != nil {
		return err
	}
	e := &ReturnError{Code: m.ReplyCode, Text: string(m.ReplyText), Exchange: string(m.Exchange), RoutingKey: string(m.RoutingKey)}
	p.client.stats.Returned++
	note := Event{Kind: EventReturned, Err: e}
	if seq := p.findReturned(e, ct); seq != 0 {
		p.confirms.At(seq).returned = e
	} else {
		note.Text = "no unconfirmed publish matches"
	}
	p.client.note(note)
	return nil
}

// findReturned returns the number of the publish that came back, or 0. Of equal
// ones it is the first that has not come back yet, as the broker handles a
// channel's publishes in order. If no content matches, as when a broker changed
// an id on the way, it is the first of the same route.
//
// The search goes on where the last one ended: returns come in the order of
// their publishes, and a long row of them would otherwise be searched again from
// the beginning each time.
func (p *publishChannel) findReturned(e *ReturnError, ct *content) uint64 {
	l := &p.confirms
	route := p.client.hash.route(e.Exchange, e.RoutingKey)
	if _, err := p.client.props.Decode(ct.Content().RawProperties); err != nil {
		p.client.props = amqpproto.Properties{} // the route will have to do
	}
	hash := p.client.hash.content(&p.client.props, ct.Content().Body)
	fallback := uint64(0)
	look := func(from, to uint64) uint64 {
		for seq := from; seq < to; seq++ {
			c := l.At(seq)
			if !c.watched || c.returned != nil || c.route != route {
				continue
			}
			if c.content == hash {
				return seq
			}
			if fallback == 0 {
				fallback = seq
			}
		}
		return 0
	}
	seq := look(l.scan, l.Next())
	if seq == 0 {
		seq = look(l.Base(), l.scan)
	}
	if seq == 0 {
		seq = fallback
	} else {
		l.scan = seq + 1
	}
	return seq
}

// onTooLarge is a message over BodyMax coming back, which we cannot have sent.
func (p *publishChannel) onTooLarge(cause *amqpproto.ChannelError) error {
	return connectionError(cause.Code, cause.Method, "%s", cause.Text)
}
