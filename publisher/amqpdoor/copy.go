package amqpdoor

import (
	"strings"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A traced builds the properties of a copy of a message. The headers of the message stay
// as they are, octet by octet, except headers that would make the broker treat the copy
// differently. Our headers are added.
type traced struct {
	amqpproto.Properties                 // its Headers are those that the message came with
	headers              publisher.Table // ours
	queue                string          // the queue that the message belongs to
	retry                bool            // the copy comes back to this queue: see otherDeaths
}

// copyOf begins a copy. It removes what would make the broker treat the copy differently
// from the original, and adds where the message came from.
func copyOf(m *publisher.Message) *traced {
	p := &traced{headers: publisher.Table{}, queue: m.Queue}
	if _, err := p.Decode(m.Properties); err != nil {
		p.Properties = amqpproto.Properties{} // they cannot be read; it goes in an envelope: see unread
	}
	if len(p.Expiration) > 0 { // it would also end the delay of a retry, or the time as a dead letter
		p.headers[publisher.TraceExpiration] = string(p.Expiration)
		p.Expiration = nil
		p.Flags &^= amqpproto.FlagExpiration
	}
	p.headers[publisher.TraceExchange] = string(m.Exchange)
	p.headers[publisher.TraceRoutingKey] = string(m.RoutingKey)
	p.headers[publisher.TraceQueue] = m.Queue
	if m.FirstAttempt != "" {
		p.headers[publisher.TraceFirstAttempt] = m.FirstAttempt
	}
	if f, told := p.Headers.Lookup(publisher.TraceQueue); told {
		if name, is := f.Bytes(); is {
			p.headers[publisher.TraceQueue] = string(name)
		}
	}
	return p
}

// failed adds headers that describe the failure.
func (p *traced) failed(c *publisher.Call, reason string) {
	p.headers[publisher.TraceHandler] = c.Message().Consumer
	p.headers[publisher.TraceTime] = c.Request().Now()
	if err := c.Outcome().Err; err != nil {
		p.headers[publisher.TraceError] = cut(err.Error(), publisher.TraceErrorMax)
	}
	if reason != "" {
		p.headers[publisher.TraceReason] = reason
		return
	}
	p.retry = true
}

func cut(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}

// deathRoom is how much of a frame the headers of a copy that comes back leave free. The
// broker adds x-death to them, and some clients accept no header frame over frame_max.
const deathRoom = 2048

// encode returns the properties of the copy, and the octets that come before the message's
// body, usually none. If the properties have more than most octets, the copy is an
// envelope.
func (p *traced) encode(most int) (raw, prefix []byte, err error) {
	if p.retry {
		most -= deathRoom
	}
	own, err := amqpproto.AppendTable(nil, p.headers)
	if err != nil {
		return nil, nil, err
	}
	q := p.Properties
	if q.Headers = append(p.original(), own...); len(q.Headers) > 0 {
		q.Flags |= amqpproto.FlagHeaders
	}
	if raw, err = q.Append(nil); err != nil || len(raw) <= most {
		return raw, nil, err
	}
	return p.wrap(most, raw)
}

// original returns those of the message's own headers that the copy keeps.
func (p *traced) original() []byte {
	out := make([]byte, 0, len(p.Headers)+1024)
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool { // SetMessage has read them
		name := string(key)
		if _, over := p.headers[name]; over {
			return true
		}
		switch name {
		case "x-delivery-count", "x-acquired-count": // of another queue
			return true
		case "CC":
			key = []byte(publisher.TraceCC)
		case "BCC":
			key = []byte(publisher.TraceBCC)
		case "x-death":
			if v = p.otherDeaths(v); len(v.Raw) == 0 {
				return true
			}
		}
		out = amqpproto.AppendField(out, key, v)
		return true
	})
	return out
}

// otherDeaths removes the deaths in the message's own queue, if the message comes back to
// it. With such a death the broker would take the way back from the retry queue for a cycle
// and drop the message. The header of attempts has the count.
func (p *traced) otherDeaths(deaths amqpproto.Field) amqpproto.Field {
	if !p.retry || deaths.Type != amqpproto.FieldArray {
		return deaths
	}
	var others []byte
	_ = deaths.Each(func(v amqpproto.Field) bool {
		table, _ := v.Table()
		queue, _ := table.Lookup("queue")
		if name, _ := queue.Bytes(); string(name) != p.queue {
			others = amqpproto.AppendValue(others, v)
		}
		return true
	})
	deaths.Raw = others
	return deaths
}

// wrap puts the copy into an envelope. The envelope's own headers have our traces as well,
// for people who look at the queue. The prefix comes before the message's body, so the body
// is not copied.
func (p *traced) wrap(most int, raw []byte) (properties, prefix []byte, err error) {
	headers := publisher.Table{publisher.TraceEnvelope: int32(1)}
	for key, value := range p.headers {
		headers[key] = value
	}
	outer := p.outside()
	for {
		if outer.Headers, err = amqpproto.AppendTable(nil, headers); err == nil {
			properties, err = outer.Append(nil)
		}
		if _, long := headers[publisher.TraceError]; err != nil || len(properties) <= most || !long {
			break
		}
		delete(headers, publisher.TraceError) // it is inside
	}
	return properties, publisher.AppendEnvelope(nil, raw), err
}

// moved copies a message for another queue, unchanged except for one header, which is removed.
func moved(raw []byte, most int, without string) (properties, prefix []byte, err error) {
	p := &traced{headers: publisher.Table{}}
	if _, err := p.Decode(raw); err != nil || p.Headers.Validate() != nil {
		return p.wrap(most, raw)
	}
	var rest []byte
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if string(key) != without {
			rest = amqpproto.AppendField(rest, key, v)
		}
		return true
	})
	p.Headers = rest
	return p.encode(most)
}

// outside returns the properties of the message that its envelope has as well.
func (p *traced) outside() amqpproto.Properties {
	outer := p.Properties
	outer.Flags &= amqpproto.FlagDeliveryMode | amqpproto.FlagPriority | amqpproto.FlagMessageID | amqpproto.FlagCorrelationID | amqpproto.FlagTimestamp
	outer.ContentType = []byte(publisher.EnvelopeType)
	outer.Flags |= amqpproto.FlagContentType | amqpproto.FlagHeaders
	return outer
}

// move publishes the copy. The original is acked when the copy is confirmed. If it returns
// an error, nothing was done.
func (sub *subscription) move(c *publisher.Call, p *traced, queue string) error {
	raw, prefix, err := p.encode(sub.k.link.client.PropertiesMax())
	if err != nil {
		return err
	}
	return sub.send(c, raw, prefix, queue)
}

func (sub *subscription) send(c *publisher.Call, raw, prefix []byte, queue string) error {
	o := client.Outgoing{RoutingKey: queue, Mandatory: true, RawProperties: raw, Prefix: prefix, Body: c.Request().Body(),
		LargeLent: true} // the memory of a large body is not reused for another request
	mv := sub.newMove(c, queue)
	if err := sub.k.link.client.Publish(nil, &o, mv); err != nil {
		return err
	}
	sub.moving(mv, c)
	return nil
}
