package broker

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/broker/arena"
)

// message is a published message: the data that queues look at, and the place of its octets
// in the arena. It never changes after newMessage, and all queues that hold it share it. It
// has no Go pointers, so a million of them cost the garbage collector nothing.
type message struct {
	id          uint32 // number in the slabs
	refs        int32  // number of queues, deliveries and others that hold it
	chunk       uint32 // chunk of the arena
	offset      uint32 // offset in the chunk
	propsLen    uint32
	bodyLen     uint32
	large       bodyRef // where a large body is; 0 = with the rest
	seq         uint64  // the store's id for it, 0 = not stored
	expiration  int64   // milliseconds, -1 = never
	bccLen      uint16
	priority    int16 // -1 = not set
	exchangeLen uint8
	keyLen      uint8
	persistent  bool
	traced      bool // a copy of the firehose, or a dead letter of one
}

// parts are views of a message's octets. They are valid until the message is released, and
// only during this call into the broker: Tick may move messages.
type parts struct {
	large    bodyRef // where a large body is; 0 = with the rest
	exchange []byte
	key      []byte
	props    []byte // flags and values, as on the wire
	body     []byte
	bcc      []byte // keys from the header BCC, which consumers must not see; see appendKey
}

// size returns the length of m's record in the arena: everything except a large body.
func (m *message) size() int {
	return int(m.exchangeLen) + int(m.keyLen) + int(m.bccLen) + int(m.propsLen) + m.copied()
}

// copied returns how many octets of body are copied when m is handled.
func (m *message) copied() int {
	if m.large != 0 {
		return 0
	}
	return int(m.bodyLen)
}

// view returns a view of m's octets.
func (s *Server) view(m *message) (p parts) {
	b := s.arena.Octets(m.chunk, m.offset, m.size())
	p.exchange, b = cut(b, int(m.exchangeLen))
	p.key, b = cut(b, int(m.keyLen))
	p.bcc, b = cut(b, int(m.bccLen))
	p.props, b = cut(b, int(m.propsLen))
	if p.body, p.large = b, m.large; m.large != 0 {
		p.body = s.bodyOctets(m.large, m.bodyLen)
	}
	return p
}

func cut(b []byte, n int) (first, rest []byte) { return b[:n:n], b[n:] }

// body returns only the octets of m's body.
func (s *Server) body(m *message) []byte { return s.view(m).body }

// newMessage copies p, which has been parsed and checked, into the arena. A large body is
// there already. The caller has one reference, and calls release when the queues have theirs.
// It only allocates a chunk now and then.
func (s *Server) newMessage(p *publishing) *message {
	m := s.slabs.take()
	m.refs = 1
	m.exchangeLen, m.keyLen = uint8(len(p.exchange)), uint8(len(p.key))
	m.bccLen, m.propsLen, m.bodyLen = uint16(len(p.bcc)), uint32(len(p.props)), uint32(len(p.body))
	m.expiration, m.priority, m.persistent, m.traced = p.expiration, p.priority, p.persistent, p.traced
	body := p.body
	switch {
	case p.large != 0:
		s.holdBody(p.large)
		m.large, body = p.large, nil
	case len(body) > amqpproto.LargeBody: // it was read from the store, or came in one long frame
		m.large, body = s.openBody(len(body))
		copy(body, p.body)
		s.bodyCame(m.large)
		body = nil
	}
	var b []byte
	m.chunk, m.offset, b = s.arena.Add(m.id, m.size())
	b = b[copy(b, p.exchange):]
	b = b[copy(b, p.key):]
	b = b[copy(b, p.bcc):]
	b = b[copy(b, p.props):]
	copy(b, body)
	s.memory += int64(arena.RecordSize(m.size()) + messageSize)
	return m
}

// retain adds a holder of m.
func (m *message) retain() { m.refs++ }

// release removes a holder of m; the last one frees the message.
func (s *Server) release(m *message) {
	m.refs--
	if m.refs > 0 {
		return
	}
	if m.seq != 0 {
		s.forgetMessage(m)
	}
	s.memory -= int64(arena.RecordSize(m.size()) + messageSize)
	s.arena.Remove(m.chunk, m.size())
	if m.large != 0 {
		s.dropBody(m.large)
	}
	s.slabs.put(m)
	if !s.compacting && s.arena.Wasteful() {
		s.compacting = true
		s.wakeAt(s.now())
	}
}

// compactBudget is about how many octets compact moves in one turn: some
// hundred microseconds.
const compactBudget = 2 << 20

// compact frees chunks that are mostly empty by moving their messages together. Views
// of messages are invalid afterwards.
func (s *Server) compact() {
	s.compacting = s.arena.Compact(compactBudget, s.move)
}

// move copies a message's octets to another chunk, if the record still belongs to the
// message.
func (s *Server) move(id, number, offset uint32) {
	m := s.slabs.at(id)
	if m == nil || m.refs == 0 || m.chunk != number || m.offset != offset {
		return
	}
	n := m.size()
	from := s.arena.Octets(number, offset, n)
	var to []byte
	m.chunk, m.offset, to = s.arena.Add(id, n)
	copy(to, from)
	s.arena.Remove(number, n)
}
