package broker

import "encoding/binary"

const (
	// garbageSegments is how many segments' worth of garbage are left alone.
	garbageSegments = 4

	// collectBudget is how many octets of survivors are written again in one turn.
	collectBudget = 256 << 10
)

// collect gives room on disk back. Segments go oldest first, and those whose
// messages have all gone go at once. A message that stays for long would hold
// back all that came after it, so when there is more garbage than not, the
// oldest messages are written again, and then the oldest segment goes.
func (s *Server) collect() {
	if s.journal.Err() != nil {
		return
	}
	f := &s.shelf
	if over := s.journal.Size() - s.topology - f.live; over > garbageSegments*s.journal.SegmentSize() && over > f.live {
		s.rewrite()
	}
	oldest := s.journal.Last() + 1 // the first record that is needed
	if f.first != 0 {
		oldest = f.at(f.first - 1).at
	}
	segments := s.journal.Segments()
	n := 0
	for n+1 < len(segments) && segments[n+1].First <= oldest {
		n++
	}
	if n == 0 {
		return
	}
	before := segments[n].First
	if s.mappedAt < before {
		if s.topology > mapAtOnce {
			s.mapLater()
			before = s.mappedAt // what is older than that may go now
		} else {
			s.storeTopology()
		}
	}
	s.journal.Release(before)
}

// rewrite writes messages of the oldest segment again, up to the budget.
func (s *Server) rewrite() {
	segments := s.journal.Segments()
	if len(segments) < 2 {
		return
	}
	f := &s.shelf
	for budget := int64(collectBudget); budget > 0 && f.first != 0; {
		id := f.first - 1
		k := f.at(id)
		if k.at >= segments[1].First {
			return
		}
		m := s.slabs.at(id)
		homes := s.queues[:0]
		f.each(k, func(h *home) { homes = append(homes, *h) })
		s.queues = homes
		at := s.writeMessage(m, m.seq, k.time, homes)
		f.move(m, k, at)
		budget -= recordCost(m)
	}
	s.flushLater() // there may be more to do
}

// beginSegment is called for each new segment. A topology that is small is put
// at its head, so that damage to one segment costs no more than what is in it.
func (s *Server) beginSegment() {
	switch {
	case s.topology <= min(mapAtOnce, s.journal.SegmentSize()/8):
		s.storeTopology()
	case s.topology < s.journal.SegmentSize()/8:
		s.mapLater()
	}
}

// storeTopology writes all that is durable but messages. It may run in the
// middle of appending another record, so it has its own scratch.
func (s *Server) storeTopology() {
	n := 0
	s.eachDurable(func([]byte) { n++ })
	b := binary.AppendUvarint(append(s.item[:0], byte(recordTopology)), uint64(s.lastQueue))
	s.item = binary.AppendUvarint(b, uint64(n))
	s.mappedAt = s.journal.Append(s.item)
	s.topology = 0
	var head [1 + binary.MaxVarintLen64]byte
	part := binary.AppendUvarint(append(head[:0], byte(recordPart)), s.mappedAt)
	s.eachDurable(func(b []byte) {
		s.journal.Append(part, b)
		s.topology += int64(len(part) + len(b))
	})
	s.flushLater()
}

// eachDurable calls fn with a record of each thing that is durable; it is a view
// until the return.
func (s *Server) eachDurable(fn func(b []byte)) {
	give := func(b []byte) {
		s.item = b
		fn(b)
	}
	for _, v := range s.vhosts {
		for _, x := range v.exchanges {
			if x.kept() {
				give(appendExchange(s.item[:0], x))
			}
		}
		for _, q := range v.queues {
			if q.storeID != 0 && !q.unstored {
				give(appendQueue(s.item[:0], q))
			}
		}
		for _, x := range v.exchanges {
			for _, b := range x.bindings {
				if b.kept() {
					give(appendBinding(s.item[:0], recordBinding, b))
				}
			}
		}
	}
}
