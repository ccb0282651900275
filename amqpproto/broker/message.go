package broker

// message is a published message: what queues look at, and where in the arena
// its octets are. It never changes after newMessage, is shared by all queues
// that hold it, and has no Go pointers, so that a million of them cost the
// garbage collector nothing.
type message struct {
	id          uint32
	refs        int32
	chunk       uint32
	offset      uint32
	propsLen    uint32
	bodyLen     uint32
	seq         uint64 // the store's number for it, 0 = not stored
	expiration  int64  // milliseconds, -1 = never
	priority    int16  // -1 = not set
	exchangeLen uint8
	keyLen      uint8
	persistent  bool
}

// parts are views of a message's octets. They live until the message is
// released, and no longer than this call into the broker: between calls the
// arena may move messages.
type parts struct {
	exchange []byte
	key      []byte
	props    []byte // flags and values, as on the wire
	body     []byte
}

// view returns the octets of m.
func (s *Server) view(m *message) parts { return parts{} }

// retain adds a holder of m.
func (m *message) retain() { m.refs++ }

// release takes a holder of m away; the last one frees it.
func (s *Server) release(m *message) {}
