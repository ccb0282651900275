package publisher

import (
	"encoding/binary"
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

// An envelope is a message that holds another message in its body, because the headers of
// that one no longer fit into a frame, or cannot be read. Envelopes are in retry queues and
// dead-letter queues. A consumer of zamqp sees the message inside. The body is, in this
// order,
//
//	4 octets    length of the properties
//	properties  flags and values, as a content header has them
//	the rest    the body
const EnvelopeType = "application/vnd.zamqp.envelope"

// TraceEnvelope is the key of the headers table that marks an envelope, with the
// version of its format.
const TraceEnvelope = "x-zamqp-envelope"

// AppendEnvelope appends the part of an envelope's body that comes before the body of the
// message inside. That body may be large, so it is not copied.
func AppendEnvelope(dst, properties []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(properties)))
	return append(dst, properties...)
}

// Wrap returns the properties of an envelope, and the prefix that comes before the body of
// the message inside.
func Wrap(properties []byte) (outer, prefix []byte, err error) {
	p := amqpproto.Properties{ContentType: []byte(EnvelopeType), DeliveryMode: 2}
	if p.Headers, err = amqpproto.AppendTable(nil, Table{TraceEnvelope: int32(1)}); err != nil {
		return nil, nil, err
	}
	p.SetFlags()
	outer, err = p.Append(nil)
	return outer, AppendEnvelope(nil, properties), err
}

// isEnvelope reports whether a message with these properties is an envelope.
func isEnvelope(p *amqpproto.Properties) bool {
	if len(p.ContentType) != len(EnvelopeType) || string(p.ContentType) != EnvelopeType {
		return false
	}
	f, ok := p.Headers.Lookup(TraceEnvelope)
	version, _ := f.Int()
	return ok && version == 1
}

// Unwrap returns the message that an envelope holds, and any other message unchanged. Headers
// that the broker has added to the envelope, such as x-death, are added to those of the
// message. Its properties are then a copy; the body is a view. An error says that the
// properties of the message inside cannot be read; inside is then what the envelope holds.
func Unwrap(properties, body []byte) (inside, content []byte, err error) {
	var outer, inner amqpproto.Properties
	if _, err := outer.Decode(properties); err != nil || !isEnvelope(&outer) {
		return properties, body, nil
	}
	if len(body) < 4 || uint64(binary.BigEndian.Uint32(body)) > uint64(len(body)-4) {
		return properties, body, fmt.Errorf("an envelope of %d octets is cut short", len(body))
	}
	n := 4 + int(binary.BigEndian.Uint32(body))
	inside, content = body[4:n:n], body[n:]
	if err := readable(&inner, inside); err != nil {
		return inside, content, err
	}
	if inner.Headers, err = added(inner.Headers, outer.Headers); err != nil {
		return inside, content, err
	}
	if len(inner.Headers) > 0 {
		inner.Flags |= amqpproto.FlagHeaders
	}
	merged, err := inner.Append(nil)
	if err != nil {
		return inside, content, err
	}
	return merged, content, nil
}

// readable decodes properties and returns what is wrong with them, or with their headers,
// which nothing else checks.
func readable(p *amqpproto.Properties, raw []byte) error {
	_, err := p.Decode(raw)
	if err == nil && p.Has(amqpproto.FlagHeaders) {
		err = p.Headers.Validate()
	}
	return err
}

// added returns the headers of the message inside, replaced by those that a broker has added
// to the envelope.
func added(inner, outer amqpproto.RawTable) (amqpproto.RawTable, error) {
	const ours = "x-zamqp-"
	var out []byte
	var deaths []byte
	any := false
	err := outer.Each(func(key []byte, v amqpproto.Field) bool {
		switch {
		case strings.HasPrefix(string(key), ours):
		case string(key) == traceDeath && v.Type == amqpproto.FieldArray:
			deaths = append(deaths, v.Raw...)
			any = true
		default:
			out = amqpproto.AppendField(out, key, v)
			any = true
		}
		return true
	})
	if err != nil || !any {
		return inner, err
	}
	fresh := amqpproto.RawTable(out)
	err = inner.Each(func(key []byte, v amqpproto.Field) bool {
		if string(key) == traceDeath && v.Type == amqpproto.FieldArray {
			deaths = append(deaths, v.Raw...)
		} else if _, over := fresh.Lookup(string(key)); !over {
			out = amqpproto.AppendField(out, key, v)
		}
		return true
	})
	if len(deaths) > 0 {
		out = amqpproto.AppendField(out, []byte(traceDeath), amqpproto.Field{Type: amqpproto.FieldArray, Raw: deaths})
	}
	return out, err
}

// traceDeath is the key in which a broker lists the queues that a message died in.
const traceDeath = "x-death"

// unwrap replaces a request that holds an envelope by the message inside.
func (r *Request) unwrap() error {
	properties, body, err := Unwrap(r.message.Properties, r.body)
	if err != nil {
		return err
	}
	r.message.Properties = properties
	if len(body) > amqpproto.LargeBody { // its memory is not used again
		r.body = body
	} else {
		r.body = r.body[:copy(r.body, body)]
	}
	return readable(&r.props, properties)
}
