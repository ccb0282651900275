package client

import (
	"hash/maphash"
	"math/bits"

	"zamqp/amqpproto"
)

// contentHash computes two hashes for each mandatory publish. A returned message is
// found among the unconfirmed ones by them, because basic.return does not carry the
// publish number.
type contentHash struct{ seed maphash.Seed }

// hashEnd is how many octets are hashed at each end of a body. Two unconfirmed
// messages that differ only between these ends, and have the same route, ids and
// length, cannot be told apart.
const hashEnd = 4096

// join combines two hashes into one. Their order matters.
func join(a, b uint64) uint64 { return bits.RotateLeft64(a, 23)*0x9e3779b97f4a7c15 ^ b }

func (x contentHash) route(exchange, key string) uint64 {
	return join(maphash.String(x.seed, exchange), maphash.String(x.seed, key))
}

// content hashes what distinguishes messages of one route. Of the properties it
// uses only the ids, because a broker may encode the others differently.
func (x contentHash) content(p *amqpproto.Properties, prefix, body []byte) uint64 {
	h := join(uint64(len(prefix)+len(body)), maphash.Bytes(x.seed, p.MessageID))
	h = join(h, maphash.Bytes(x.seed, p.CorrelationID))
	if len(prefix) > 0 {
		body = bothEnds(prefix, body)
	}
	if len(body) > 2*hashEnd {
		h = join(h, maphash.Bytes(x.seed, body[:hashEnd]))
		body = body[len(body)-hashEnd:]
	}
	return join(h, maphash.Bytes(x.seed, body))
}

// bothEnds joins the two parts of a body, without octets of the middle that the hash
// does not use.
func bothEnds(prefix, body []byte) []byte {
	if len(prefix)+len(body) <= 2*hashEnd {
		return append(append(make([]byte, 0, 2*hashEnd), prefix...), body...)
	}
	ends := make([]byte, 0, 2*hashEnd+1)
	n := min(len(prefix), hashEnd)
	ends = append(append(ends, prefix[:n]...), body[:min(len(body), hashEnd-n)]...)
	ends = append(ends, 0) // more than 2*hashEnd octets, so that only the ends count
	if n = hashEnd - min(len(body), hashEnd); n > 0 {
		ends = append(ends, prefix[len(prefix)-n:]...)
	}
	return append(ends, body[max(0, len(body)-hashEnd):]...)
}

// contentMethod accepts basic.return, the only content on a publish channel.
func (p *publishChannel) contentMethod(id amqpproto.MethodID) amqpproto.Method {
	if id != amqpproto.IDBasicReturn {
		return nil
	}
	return &p.returned
}

// onContent handles a returned message. RabbitMQ sends the ack of the same publish
// after the return, so the error is kept in the confirms until the ack comes.
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

// findReturned returns the number of the publish that was returned, or 0. If several
// are equal, it is the first that was not returned yet, because the broker handles
// a channel's publishes in order. If no content matches, for example because the
// broker changed an id, it is the first publish with the same route.
//
// The search continues where the last one ended. Returns come in the order of their
// publishes, so a search from the beginning would be slow when there are many.
func (p *publishChannel) findReturned(e *ReturnError, ct *content) uint64 {
	l := &p.confirms
	route := p.client.hash.route(e.Exchange, e.RoutingKey)
	if _, err := p.client.props.Decode(ct.Content().RawProperties); err != nil {
		p.client.props = amqpproto.Properties{} // only the route can be compared
	}
	hash := p.client.hash.content(&p.client.props, nil, ct.Content().Body)
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

// onTooLarge handles a returned message over BodyMax: we cannot have sent it.
func (p *publishChannel) onTooLarge(cause *amqpproto.ChannelError) error {
	return connectionError(cause.Code, cause.Method, "%s", cause.Text)
}
