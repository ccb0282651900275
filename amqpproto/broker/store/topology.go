package store

import "encoding/binary"

// topologyAtOnce is how many octets of topology are written in one turn.
const topologyAtOnce = 32 << 10

// Writer receives the durable things of a broker, one after the other.
type Writer struct {
	s    *Store
	take func(record []byte) // the record is valid until the method returns
}

// Exchange takes an exchange.
func (w *Writer) Exchange(x Exchange) { w.give(appendExchange(w.s.item[:0], x)) }

// Queue takes a queue.
func (w *Writer) Queue(q Queue) { w.give(appendQueue(w.s.item[:0], q)) }

// Binding takes a binding. It comes after both its ends.
func (w *Writer) Binding(b Binding) { w.give(appendBinding(w.s.item[:0], recordBinding, b)) }

func (w *Writer) give(record []byte) {
	w.s.item = record
	w.take(record)
}

// Walk goes through the durable things of a broker in steps. Things may be added
// and deleted between the steps.
type Walk interface {
	// Next looks at the next thing, and gives it to w if it is durable. done says
	// that there was nothing left.
	Next(w *Writer) (done bool)
}

// beginSegment is called for each new segment. It puts a small topology at the head
// of the segment, so that damage to one segment loses no more than what is in it.
func (s *Store) beginSegment() {
	switch {
	case s.topology <= min(topologyAtOnce, s.journal.SegmentSize()/8):
		s.rewriteTopology()
	case s.topology < s.journal.SegmentSize()/8:
		s.rewriteTopologyLater()
	}
}

// rewriteTopology writes all durable things except messages. It may run while
// another record is being appended, so it has its own scratch memory.
func (s *Store) rewriteTopology() {
	n := 0
	s.owner.Durable(&Writer{s, func([]byte) { n++ }})
	b := binary.AppendUvarint(append(s.item[:0], byte(recordTopology)), uint64(s.lastQueue))
	s.item = binary.AppendUvarint(b, uint64(n))
	s.completeAt = s.journal.Append(s.item)
	s.topology = 0
	var head [1 + binary.MaxVarintLen64]byte
	part := binary.AppendUvarint(append(head[:0], byte(recordPart)), s.completeAt)
	s.owner.Durable(&Writer{s, func(b []byte) {
		s.journal.Append(part, b)
		s.topology += int64(len(part) + len(b))
	}})
	s.flushLater()
}

// rewriting writes the topology again in steps, as the same records as the first
// time. Meanwhile, changes are recorded as usual; so at the end the records from
// the first one on describe everything.
type rewriting struct {
	s      *Store
	walk   Walk
	w      Writer
	from   uint64 // number of the first record
	was    int64  // Store.topology at the beginning
	octets int64
}

// rewriteTopologyLater starts a rewrite of the topology in the turns to come.
func (s *Store) rewriteTopologyLater() {
	if s.rewriting != nil || s.completeAt != 0 && s.journal.Appended()-s.rewrittenTo < 2*s.topology {
		return // most of the records behind the last rewrite are that rewrite itself
	}
	// The highest queue id must survive when the old records are deleted. One part
	// is left out on purpose, so that recovery does not take this record for a
	// whole topology but uses the records that follow.
	b := binary.AppendUvarint(append(s.item[:0], byte(recordTopology)), uint64(s.lastQueue))
	s.item = binary.AppendUvarint(b, 1)
	s.writeGone()
	r := &rewriting{s: s, walk: s.owner.Walk(), from: s.journal.Append(s.item), was: s.topology}
	r.w = Writer{s, r.write}
	s.rewriting = r
	s.owner.Later(r.step)
}

func (r *rewriting) step() (done bool) {
	s := r.s
	for {
		if !s.owner.Charge() {
			return false
		}
		if r.walk.Next(&r.w) {
			break
		}
	}
	s.topology += r.octets - r.was
	s.completeAt, s.rewrittenTo, s.rewriting = r.from, s.journal.Appended(), nil
	s.flushLater() // segments may have become free
	return true
}

func (r *rewriting) write(record []byte) {
	s := r.s
	s.writeGone()
	s.journal.Append(record)
	s.flushLater()
	r.octets += int64(len(record))
}
