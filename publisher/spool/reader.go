package spool

import (
	"fmt"
	"sort"
	"time"

	"zamqp/amqpproto/journal"
)

// An Entry is a message that waits to be sent. It owns its octets.
type Entry struct {
	Number uint64
	Since  time.Time // when it was added
	Message
}

// reader records how far the messages have been given back.
type reader struct {
	next   uint64 // number of the next message to give back
	cursor *journal.Cursor
	busy   bool // an offloaded function is using the cursor
	turned bool // Rewind was called in that time
}

func (r *reader) close() {
	if r.cursor != nil && !r.busy {
		r.cursor.Close()
		r.cursor = nil
	}
}

// chunk is one read of the cursor, on another goroutine.
type chunk struct {
	cursor  *journal.Cursor
	from    uint64 // number of the first message to return
	safe    uint64 // one more than the number of the last message on disk
	last    uint64 // the last record on disk
	count   int
	octets  int
	entries []Entry
	err     error
}

func (c *chunk) read() {
	for len(c.entries) < c.count && c.octets > 0 {
		seq, rec, err := c.cursor.Next(c.last)
		if err != nil {
			c.err = err
			return
		}
		if seq == 0 {
			return
		}
		if len(rec) == 0 || rec[0] != recordGroup {
			continue
		}
		own := append([]byte(nil), rec[1:]...)
		err = scanGroup(own, func(g group, number uint64, m Message) {
			if number >= c.from {
				c.entries = append(c.entries, Entry{Number: number, Since: g.at, Message: m})
				c.octets -= int(m.Size())
			}
		})
		if err != nil {
			c.err = fmt.Errorf("spool: record %d: %w", seq, err)
			return
		}
	}
}

// Fetch reads the next messages, at most about count messages and octets octets, and gives
// them to done on the owner's thread. If there is nothing to read, or a read is under way, it
// returns false and done is not called. Each message is given back once, until Rewind.
// Messages that cannot be read any more are lost. Then the error says so, beside the entries
// that could be read. After an error that [journal.IsShortage] reports, nothing is lost and
// Fetch can be tried again later.
func (s *Spool) Fetch(count, octets int, done func([]Entry, error)) bool {
	r := &s.reader
	if r.busy {
		return false
	}
	if r.next = max(r.next, s.out); r.next >= s.safe {
		return false
	}
	if r.cursor == nil {
		r.cursor = s.queue.Cursor(s.seqOf(r.next))
	}
	c := &chunk{cursor: r.cursor, from: r.next, safe: s.safe, last: s.queue.Synced(), count: count, octets: octets}
	r.busy = true
	finish := func() { s.fetched(c, done) }
	if s.o.Offload == nil {
		c.read()
		finish()
	} else {
		s.o.Offload(c.read, finish)
	}
	return true
}

func (s *Spool) fetched(c *chunk, done func([]Entry, error)) {
	r := &s.reader
	r.busy = false
	if s.err == ErrClosed || r.turned {
		r.turned = false
		c.cursor.Close()
		r.cursor = nil
		if s.err != ErrClosed {
			done(nil, nil)
		}
		return
	}
	entries := c.entries[:0]
	for _, e := range c.entries {
		if !s.lose(e.Number) {
			c.cursor.Close() // to read the rest again in another turn
			r.cursor = nil
			break
		}
		r.next = e.Number + 1
		if _, gone := s.gone[e.Number]; !gone && e.Number >= s.out {
			entries = append(entries, e)
		}
	}
	if len(c.entries) == 0 && c.err == nil {
		// Everything on disk was read, and the expected messages were not there.
		s.lose(c.safe)
	}
	done(entries, c.err)
}

// lose gives up the messages before a number, whose records are lost. It returns false if
// they are too many for one turn.
func (s *Spool) lose(number uint64) (all bool) {
	r := &s.reader
	for n := 0; r.next < number; r.next++ {
		if n++; n > forgetMax {
			return false
		}
		s.Gone(r.next)
	}
	return true
}

// seqOf returns a record at or before the record of a message.
func (s *Spool) seqOf(number uint64) uint64 {
	n := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].first > number })
	if n == 0 {
		return 1
	}
	return s.marks[n-1].seq
}

// Rewind begins again with the first message that has not left.
func (s *Spool) Rewind() {
	r := &s.reader
	r.next = s.out
	if r.busy {
		r.turned = true
		return
	}
	r.close()
}
