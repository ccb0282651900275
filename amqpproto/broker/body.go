package broker

import "zamqp/amqpproto/broker/arena"

// A large body has its own chunk of the arena, apart from the rest of its message. It is read
// into that chunk and never copied again: dead letters and copies of the firehose share it,
// the journal writes it from there, and deliveries are encoded from there as fast as their
// connections take them. Each of these users is a holder.

// bodyRef identifies a large body; 0 is none.
type bodyRef = arena.Large

// openBody makes room for a large body. The caller holds it.
func (s *Server) openBody(size int) (bodyRef, []byte) { return s.arena.OpenLarge(size) }

// bodyOctets returns the n octets of a large body.
func (s *Server) bodyOctets(b bodyRef, n uint32) []byte { return s.arena.LargeOctets(b, n) }

// bodyCame counts a complete large body as memory of messages.
func (s *Server) bodyCame(b bodyRef) { s.memory += s.arena.Complete(b) }

func (s *Server) holdBody(b bodyRef) { s.arena.Hold(b) }

// dropBody removes a holder. After the last one the memory is freed, one piece at a time.
func (s *Server) dropBody(b bodyRef) {
	mem, counted := s.arena.Drop(b)
	if mem == nil {
		return
	}
	s.memory -= counted
	if s.opts.Discard == nil {
		s.opts.Free(mem)
		return
	}
	s.later(&discarding{mem: mem, rest: mem})
}

// discarding frees the memory of a large body in pieces.
type discarding struct{ mem, rest []byte }

// discardPiece is the size of a piece. Freeing it costs about as much as copying a quarter of
// it.
const discardPiece = 256 << 10

func (d *discarding) step(s *Server) (done bool) {
	for len(d.rest) > 0 {
		n := min(len(d.rest), discardPiece)
		if !s.charge(1, n) {
			return false
		}
		s.opts.Discard(d.rest[:n])
		d.rest = d.rest[n:]
	}
	s.opts.Free(d.mem)
	return true
}

// Reserve makes room for a large body that is being received.
func (ch *channel) Reserve(size int) []byte {
	var mem []byte
	ch.in.large, mem = ch.conn.server.openBody(size)
	return mem
}

// resetContent drops the content that is being received.
func (ch *channel) resetContent() {
	ch.dropComing()
	ch.in.Init(ch.number, ch.conn.server.opts.BodyMax, ch)
}

// dropComing releases a large body that is being received.
func (ch *channel) dropComing() {
	if ch.in.large != 0 {
		ch.conn.server.dropBody(ch.in.large)
		ch.in.large = 0
	}
}

// writing is a large body that the journal has not written yet.
type writing struct {
	number uint64 // number of its record
	body   bodyRef
}

// lend holds a large body until the journal has written it.
func (s *Server) lend(number uint64, b bodyRef) {
	if s.storeErr() != nil {
		return // the journal writes nothing any more
	}
	s.holdBody(b)
	s.lent = append(s.lent, writing{number, b})
}

// written releases bodies that the journal has on disk, or will never write.
func (s *Server) written() {
	n := 0
	for n < len(s.lent) && (s.lent[n].number <= s.synced() || s.storeErr() != nil) {
		s.dropBody(s.lent[n].body)
		n++
	}
	if s.lent = s.lent[n:]; len(s.lent) == 0 {
		s.lent = nil
	}
}
