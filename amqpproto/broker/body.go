package broker

import "zamqp/amqpproto/broker/arena"

// A large body lies apart from the rest of its message, in a chunk of the arena of
// its own. It comes there as it is read, and is never copied again: dead letters and
// copies of the firehose share it, the journal writes it from there, and deliveries
// are encoded from there as their connections take them. Each of those holds it.

// bodyRef names a large body; 0 is none.
type bodyRef = arena.Large

// openBody makes room for a large body. The caller holds it.
func (s *Server) openBody(size int) (bodyRef, []byte) { return s.arena.OpenLarge(size) }

// bodyOctets are the n octets of a large body.
func (s *Server) bodyOctets(b bodyRef, n uint32) []byte { return s.arena.LargeOctets(b, n) }

// bodyCame has a large body that is whole counted among the messages.
func (s *Server) bodyCame(b bodyRef) { s.memory += s.arena.Complete(b) }

func (s *Server) holdBody(b bodyRef) { s.arena.Hold(b) }

// dropBody takes a holder away. The memory is given back after the last one, a
// piece at a time.
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

// discarding gives the memory of a large body back.
type discarding struct{ mem, rest []byte }

// discardPiece is how much is given back at once. It costs about as much as to
// copy a quarter of it.
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

// Reserve gives room to a large body that is coming.
func (ch *channel) Reserve(size int) []byte {
	var mem []byte
	ch.in.large, mem = ch.conn.server.openBody(size)
	return mem
}

// resetContent forgets what is coming.
func (ch *channel) resetContent() {
	ch.dropComing()
	ch.in.Init(ch.number, ch.conn.server.opts.BodyMax, ch)
}

// dropComing lets go of a large body that has come, or will not.
func (ch *channel) dropComing() {
	if ch.in.large != 0 {
		ch.conn.server.dropBody(ch.in.large)
		ch.in.large = 0
	}
}

// writing is a large body that the journal has not written yet.
type writing struct {
	number uint64 // of its record
	body   bodyRef
}

// lend has the journal write a large body from where it is.
func (s *Server) lend(number uint64, b bodyRef) {
	if s.storeErr() != nil {
		return // it writes nothing any more
	}
	s.holdBody(b)
	s.lent = append(s.lent, writing{number, b})
}

// written lets go of what the journal has on disk, or will never write.
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
