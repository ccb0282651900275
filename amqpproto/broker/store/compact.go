package store

const (
	// garbageSegments is how many segments of garbage are tolerated.
	garbageSegments = 4

	// compactBudget is how many octets of live messages are rewritten in one turn.
	compactBudget = 256 << 10
)

// compact gives disk space back. Segments are deleted oldest first. A segment whose
// messages are all gone is deleted at once. A message that stays for long would
// hold back all segments after its own; so when more than half of the journal is
// garbage, the oldest messages are written again, and then the oldest segment is
// deleted.
func (s *Store) compact() {
	if s.journal.Err() != nil {
		return
	}
	f := &s.index
	if over := s.journal.Size() - s.topology - f.live; over > garbageSegments*s.journal.SegmentSize() && over > f.live {
		s.rewriteMessages()
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
	if s.completeAt < before {
		if s.topology > topologyAtOnce {
			s.rewriteTopologyLater()
			before = s.completeAt // segments before it may be deleted now
		} else {
			s.rewriteTopology()
		}
	}
	s.journal.Release(before)
}

// rewriteMessages writes messages of the oldest segment again, within the budget.
func (s *Store) rewriteMessages() {
	segments := s.journal.Segments()
	if len(segments) < 2 {
		return
	}
	f := &s.index
	for budget := int64(compactBudget); budget > 0 && f.first != 0; {
		id := f.first - 1
		k := f.at(id)
		if k.at >= segments[1].First {
			return
		}
		m := s.owner.Message(id)
		refs := s.refs[:0]
		f.each(k, func(r *queueRef) { refs = append(refs, *r) })
		s.refs = refs
		at := s.writeMessage(&m, m.Seq, k.time, refs)
		if m.Large != nil {
			s.owner.Lent(id, at)
		}
		f.move(id, k, at)
		budget -= m.cost()
	}
	s.flushLater() // there may be more to do
}
