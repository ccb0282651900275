package store

import (
	"encoding/binary"

	"zamqp/amqpproto"
)

// The format of the store's records. Each record begins with its kind. Numbers are
// unsigned varints unless said otherwise; a string is its length and that many
// octets. Most records name a queue, so queues have short ids, which are never
// used again.
//
//	message   id or 0 | time | queues: n, and n × (queue id, deliveries)
//	          | lengths of exchange, key, bcc, properties | all of their octets, and the body's
//	gone      pairs of queue id and message id, each as the signed difference to the one before
//	exchange  vhost | name | kind | flags | arguments
//	queue     queue id | vhost | name | flags | arguments
//	binding   vhost | source | flags | destination | key | arguments
//	no…       the fields of the above that identify the thing: it is deleted
//	topology  highest queue id ever | n: n parts follow, all the exchanges, queues
//	          and bindings that there are
//	part      number of the topology's record | an exchange, queue or binding
//
// A message's id is the number of its first record; that record has 0 instead. When
// the message is written again, so that the old record may be deleted, it keeps its
// id and its place in the queues. Its time is that of the publish, in milliseconds
// since 1970. Deliveries are how often a queue has delivered it. They are not
// written to the journal each time, but to a slot file of it. A slot holds a message
// id, and a queue id and the deliveries in one number.
type recordKind byte

const (
	recordMessage    recordKind = 'M'
	recordGone       recordKind = 'A'
	recordExchange   recordKind = 'X'
	recordNoExchange recordKind = 'x'
	recordQueue      recordKind = 'Q'
	recordNoQueue    recordKind = 'q'
	recordBinding    recordKind = 'B'
	recordNoBinding  recordKind = 'b'
	recordTopology   recordKind = 'T'
	recordPart       recordKind = 'P'
)

// Bits of the flags.
const (
	flagAutoDelete = 1 << iota
	flagInternal   // of an exchange
	flagToExchange // of a binding
)

func appendString[T string | []byte | amqpproto.RawTable](dst []byte, v T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

// Exchange, Queue and Binding are what the store keeps about these things. All of them are
// durable.
type Exchange struct {
	Vhost, Name, Kind    string
	AutoDelete, Internal bool
	Args                 amqpproto.RawTable
}

// Queue has the id that AddQueue has returned.
type Queue struct {
	ID          uint32
	Vhost, Name string
	AutoDelete  bool
	Args        amqpproto.RawTable
}

// Binding binds a queue or, with ToExchange, an exchange.
type Binding struct {
	Vhost, Source    string
	ToExchange       bool
	Destination, Key string
	Args             amqpproto.RawTable
}

func appendExchange(dst []byte, x Exchange) []byte {
	dst = appendString(append(dst, byte(recordExchange)), x.Vhost)
	dst = appendString(appendString(dst, x.Name), x.Kind)
	var flags byte
	if x.AutoDelete {
		flags |= flagAutoDelete
	}
	if x.Internal {
		flags |= flagInternal
	}
	return appendString(append(dst, flags), x.Args)
}

func appendNoExchange(dst []byte, vhost, name string) []byte {
	return appendString(appendString(append(dst, byte(recordNoExchange)), vhost), name)
}

func appendQueue(dst []byte, q Queue) []byte {
	dst = binary.AppendUvarint(append(dst, byte(recordQueue)), uint64(q.ID))
	dst = appendString(appendString(dst, q.Vhost), q.Name)
	var flags byte
	if q.AutoDelete {
		flags |= flagAutoDelete
	}
	return appendString(append(dst, flags), q.Args)
}

// appendBinding writes both kinds of binding records, because all fields of a
// binding identify it.
func appendBinding(dst []byte, kind recordKind, b Binding) []byte {
	dst = appendString(append(dst, byte(kind)), b.Vhost)
	dst = appendString(dst, b.Source)
	var flags byte
	if b.ToExchange {
		flags |= flagToExchange
	}
	dst = appendString(append(dst, flags), b.Destination)
	return appendString(appendString(dst, b.Key), b.Args)
}

// These three methods append the parts of the record of a message that come before
// its octets.
func appendMessageHead(b []byte, id uint64, ms int64, refs int) []byte {
	b = binary.AppendUvarint(append(b, byte(recordMessage)), id)
	b = binary.AppendUvarint(b, uint64(ms))
	return binary.AppendUvarint(b, uint64(refs))
}

func appendRef(b []byte, r queueRef) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.queue)), uint64(r.deliveries))
}

func appendLengths(b []byte, m *Message) []byte {
	b = append(b, m.ExchangeLen, m.KeyLen)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(m.BCCLen)), uint64(m.PropsLen))
}

// cursor reads a record. After the first error all values are zero, and bad is
// true.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) number() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// signed reads what binary.AppendVarint has written: the sign is the lowest bit.
func (c *cursor) signed() int64 {
	u := c.number()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (c *cursor) id() uint32 {
	v := c.number()
	if v > 1<<32-1 {
		c.fail()
		return 0
	}
	return uint32(v)
}

func (c *cursor) flags() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// octets returns a view into the record.
func (c *cursor) octets() []byte { return c.take(c.number()) }

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) fail() { c.b, c.bad = nil, true }

// end reports whether the record was read exactly to its end.
func (c *cursor) end() bool { return !c.bad && len(c.b) == 0 }
