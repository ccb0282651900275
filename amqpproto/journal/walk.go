package journal

import "bytes"

// walk goes through the records of one segment.
type walk struct {
	s      *scan
	name   string
	b      []byte
	seed   uint32
	first  uint64 // number of the segment's first record
	end    uint64 // number of the next segment's first record: from this number on, records here were written there again
	last   bool   // it is the last segment
	reason string // the reason of damage

	records int
	size    int // up to the end of the last whole record
	effort  int // octets that may still be checksummed in the search for whole records
}

func (w *walk) run(at int) error {
	w.size = at
	w.effort = 16*len(w.b) + 1<<20
	for at < len(w.b) && !w.over() {
		r, ok := w.record(at, w.s.next)
		if ok && r.seq == w.s.next {
			if err := w.found(at, r); err != nil {
				return err
			}
			at += r.size
			continue
		}
		if rest := bytes.TrimRight(w.b[at:], "\x00"); len(rest) == 0 {
			return nil // reserved, and never written
		}
		to, ok := w.resync(at, w.s.next)
		if w.last && !(ok && w.batchFrom(to)) {
			w.s.report.Torn += int64(len(bytes.TrimRight(w.b[at:], "\x00")))
			return nil
		}
		w.s.sound = false
		if r, _ = peekRecord(w.b[to:]); !ok || !w.last && r.seq >= w.end {
			// The next segment shows how many are lost.
			w.damage(at, len(w.b)-at, w.s.next, 0, w.reason)
			return nil
		}
		w.damage(at, to-at, w.s.next, r.seq-w.s.next, w.reason)
		w.s.next = r.seq
		at = to
	}
	return nil
}

// over reports whether the next record is in the next segment.
func (w *walk) over() bool { return !w.last && w.s.next >= w.end }

func (w *walk) found(at int, r record) error {
	w.records++
	w.size = at + r.size
	w.s.next = r.seq + 1
	rep := &w.s.report
	if rep.First == 0 {
		rep.First = r.seq
	}
	rep.Last = r.seq
	rep.Records++
	rep.Bytes += int64(r.size)
	if w.s.replay == nil {
		return nil
	}
	return w.s.replay(r.seq, r.data)
}

// record reads the record at an offset, if it is whole and not before next.
func (w *walk) record(at int, next uint64) (record, bool) {
	r, ok := peekRecord(w.b[at:])
	return r, ok && r.seq >= next && r.whole(w.b[at:], w.seed)
}

// resync looks for the next whole record after a broken place at from, where
// record next should be. A record takes at least recordHead octets, which bounds
// the numbers that may follow; so nearly no offset gets as far as its checksum.
func (w *walk) resync(from int, next uint64) (at int, ok bool) {
	for at = from; at+recordHead <= len(w.b); at++ {
		r, ok := peekRecord(w.b[at:])
		if !ok || r.seq < next || r.seq-next > uint64(at-from)/recordHead+1 {
			continue
		}
		// Somebody may send messages that look like many long records.
		if w.effort -= r.size; w.effort < 0 {
			return 0, false
		}
		if r.whole(w.b[at:], w.seed) {
			return at, true
		}
	}
	return 0, false
}

// batchFrom reports whether a batch begins at a whole record at offset at or after it. If so,
// everything before it was on disk, and is damaged. If not, this is the last batch, and it
// was never finished.
func (w *walk) batchFrom(at int) bool {
	r, _ := peekRecord(w.b[at:])
	for next := r.seq; ; {
		r, ok := w.record(at, next)
		if !ok || r.seq != next {
			if at, ok = w.resync(at, next); !ok {
				return false
			}
			r, _ = peekRecord(w.b[at:])
		}
		if r.beginsBatch {
			return true
		}
		next = r.seq + 1
		at += r.size
	}
}

func (w *walk) damage(at, length int, first, lost uint64, reason string) {
	w.s.report.Damage = append(w.s.report.Damage, Damage{Segment: w.name, Offset: int64(at), Length: int64(length), First: first, Lost: lost, Reason: reason})
}
