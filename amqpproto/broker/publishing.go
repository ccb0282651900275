package broker

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"zamqp/amqpproto"
)

// publishing is a basic.publish on its way to the queues. Its slices are views into the
// publisher's input, so it is only valid during Feed; newMessage makes the copy. A connection
// needs only one: parse resets the computed fields.
type publishing struct {
	exchange []byte
	key      []byte
	props    []byte // flags and values, as on the wire; parse removes BCC
	body     []byte
	large    bodyRef // where body is, if it is large and has arrived already
	traced   bool    // a copy of the firehose, or a dead letter of one

	// These fields are computed by parse and check.
	properties amqpproto.Properties
	persistent bool
	priority   int16  // -1 = not set
	expiration int64  // milliseconds, -1 = never
	more       []byte // further routing keys, from CC and BCC; see appendKey
	bcc        []byte // the part of more that comes from BCC

	scratch []byte // props without BCC
}

// parse decodes the properties. The error is a ConnectionError 502.
func (p *publishing) parse() error {
	p.priority, p.expiration, p.persistent, p.more, p.bcc = -1, -1, false, p.more[:0], nil
	if _, err := p.properties.Decode(p.props); err != nil {
		return err
	}
	p.persistent = p.properties.DeliveryMode == 2
	if p.properties.Has(amqpproto.FlagPriority) {
		p.priority = int16(p.properties.Priority)
	}
	if p.properties.Has(amqpproto.FlagHeaders) {
		return p.properties.Headers.Validate()
	}
	return nil
}

// headers returns the headers of the properties, without BCC after check.
func (p *publishing) headers() amqpproto.RawTable { return p.properties.Headers }

// check checks what exchanges and queues need. The error is a ChannelError 406: an expiration
// that is not a number, an unknown delivery mode, CC or BCC that are not arrays.
func (p *publishing) check() error {
	if p.properties.Has(amqpproto.FlagExpiration) {
		var fault string
		if p.expiration, fault = parseExpiration(p.properties.Expiration); fault != "" {
			return precondition("invalid expiration '%s': %s", p.properties.Expiration, fault)
		}
	}
	if p.properties.Has(amqpproto.FlagDeliveryMode) && p.properties.DeliveryMode-1 > 1 {
		return precondition("invalid message: {delivery_mode_unknown,%d}", p.properties.DeliveryMode)
	}
	if len(p.properties.Headers) == 0 {
		return nil
	}
	for _, name := range [...]string{"CC", "BCC"} {
		f, ok := p.properties.Headers.Lookup(name)
		if !ok {
			continue
		}
		if f.Type != amqpproto.FieldArray {
			return precondition("invalid message: {unacceptable_type_in_header,%q,%s}", name, typeName(f.Type))
		}
		at := len(p.more)
		_ = f.Each(func(f amqpproto.Field) bool {
			if f.Type == amqpproto.FieldString && len(f.Raw) <= amqpproto.ShortstrMax && len(p.more) < moreMax {
				p.more = appendKey(p.more, f.Raw)
			}
			return true
		})
		if name == "BCC" {
			p.bcc = p.more[at:]
			p.hide(name)
		}
	}
	return nil
}

// hide removes a header that consumers must not see.
func (p *publishing) hide(name string) {
	var headers []byte
	hidden := false
	_ = p.properties.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if !hidden && string(key) == name {
			hidden = true
		} else {
			headers = appendPair(headers, key, v)
		}
		return true
	})
	p.properties.Headers = headers
	p.scratch, _ = p.properties.Append(p.scratch[:0]) // what was decoded can be encoded again
	p.props = p.scratch
}

// moreMax is about how many octets of further keys are used: a routing key has up to 255, and
// nobody sends more than a hundred of them.
const moreMax = 32 << 10

// appendKey and cutKey write and read a list of routing keys.
func appendKey(dst, key []byte) []byte { return append(append(dst, byte(len(key))), key...) }

func cutKey(b []byte) (key, rest []byte) {
	n := int(b[0]) + 1
	return b[1:n], b[n:]
}

// appendPair appends a pair of a table unchanged.
func appendPair(dst, key []byte, v amqpproto.Field) []byte {
	return appendField(appendKey(dst, key), v)
}

func appendField(dst []byte, v amqpproto.Field) []byte {
	dst = append(dst, v.Type)
	switch v.Type {
	case amqpproto.FieldString, amqpproto.FieldBytes, amqpproto.FieldArray, amqpproto.FieldTable:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.Raw)))
	}
	return append(dst, v.Raw...)
}

// expirationMax is ten years in milliseconds, as in RabbitMQ.
const expirationMax = 315_360_000_000

// parseExpiration reads a number of milliseconds as RabbitMQ does, with the same error texts.
func parseExpiration(b []byte) (ms int64, fault string) {
	digits := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits++
	}
	start := digits
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits == start {
		return -1, "no_integer"
	}
	if digits < len(b) {
		return -1, fmt.Sprintf("{leftover_string,%q}", b[digits:])
	}
	if digits-start > 18 {
		return -1, "{value_too_large," + string(b) + "}"
	}
	// strconv.ParseInt(string(b)) would allocate for each message.
	for _, c := range b[start:digits] {
		ms = ms*10 + int64(c-'0')
	}
	switch {
	case b[0] == '-' && ms > 0:
		return -1, "{value_negative,-" + strconv.FormatInt(ms, 10) + "}"
	case ms > expirationMax:
		return -1, "{value_too_large," + strconv.FormatInt(ms, 10) + "}"
	}
	return ms, ""
}
