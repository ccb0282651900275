package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Cursor reads records that are on disk, in order, while the journal goes on. It may be
// used on another goroutine than the journal, but only on one at a time. It opens files
// of its own. Segments that it has not read yet must not be released.
type Cursor struct {
	dir  string
	fs   FS
	seed uint32

	from    uint64 // number of the next record that is wanted
	next    uint64 // number of the record at offset at
	segment uint64 // the segment whose file is open
	file    File
	at      int64
	buf     []byte // octets of the file, from offset at on
}

// cursorRead is how much is read at a time; a longer record takes its length.
const cursorRead = 128 << 10

// Cursor returns a cursor that begins at the given record, or at the oldest record if that is
// gone.
func (j *Journal) Cursor(from uint64) *Cursor {
	c := &Cursor{dir: j.dir, fs: j.fs, seed: j.seed, from: from, segment: j.next}
	for i, s := range j.segments {
		if i == 0 || s.First <= from {
			c.segment = s.First
		}
	}
	c.next = c.segment
	return c
}

// Next returns the next record up to number last, which must be on disk; 0 if there is none.
// rec is a view until the next call. An error reports records that were on disk and cannot be
// read any more; the records after them can still be read. After an error that [IsShortage],
// the same records can be tried again.
func (c *Cursor) Next(last uint64) (seq uint64, rec []byte, err error) {
	for c.next <= last {
		if c.file == nil {
			if err := c.open(); err != nil {
				return 0, nil, c.skip(last, err)
			}
		}
		r, ok, err := c.record()
		if err != nil {
			return 0, nil, c.skip(last, err)
		}
		if !ok {
			if c.next == c.segment { // a segment begins here, so there is a record
				return 0, nil, c.skip(last, errors.New("broken record"))
			}
			c.turn(c.follower())
			continue
		}
		c.at += int64(r.size)
		c.buf = c.buf[r.size:]
		c.next++
		if r.seq >= c.from {
			c.from = c.next
			return r.seq, r.data, nil
		}
	}
	return 0, nil, nil
}

// follower returns the segment that continues where this one ends. If the last records of a
// segment were written again to another one, the segment ends before its octets end.
func (c *Cursor) follower() uint64 {
	found := c.next
	names, err := c.fs.Names(c.dir)
	if err != nil {
		return found
	}
	for i := len(names) - 1; i >= 0; i-- {
		if first, ok := parseSegmentName(names[i]); ok && first > c.segment && first <= c.next {
			return first
		}
	}
	return found
}

// turn continues with another segment.
func (c *Cursor) turn(first uint64) {
	c.Close()
	c.segment, c.next = first, first
}

func (c *Cursor) open() error {
	f, err := c.fs.Open(filepath.Join(c.dir, segmentName(c.segment)), 0)
	if err != nil {
		return err
	}
	c.file, c.at, c.buf = f, headSize, nil
	return nil
}

// record returns the record at c.at. The octets that were read ahead may have been
// overwritten since.
func (c *Cursor) record() (r record, ok bool, err error) {
	if r, ok = c.look(); ok {
		return r, true, nil
	}
	size := cursorRead
	if len(c.buf) >= 8 {
		size = max(size, recordHead+int(binary.LittleEndian.Uint32(c.buf[4:])&^batchBit))
	}
	for range 2 {
		if err := c.read(size); err != nil {
			return r, false, err
		}
		if r, ok = c.look(); ok || len(c.buf) < recordHead {
			break
		}
		need := recordHead + int(binary.LittleEndian.Uint32(c.buf[4:])&^batchBit)
		if need <= len(c.buf) {
			break // all its octets are there, and it is not whole
		}
		size = need
	}
	return r, ok, nil
}

func (c *Cursor) look() (record, bool) {
	r, ok := peekRecord(c.buf)
	return r, ok && r.seq == c.next && r.whole(c.buf, c.seed)
}

func (c *Cursor) read(size int) error {
	end, err := c.file.Size()
	if err != nil {
		return err
	}
	b := make([]byte, max(0, min(int64(size), end-c.at)))
	n, err := c.file.ReadAt(b, c.at)
	if err == io.EOF {
		err = nil
	}
	c.buf = b[:n]
	return err
}

// skip goes to the next existing segment, or to the record after last, and reports what is
// lost. Nothing is lost when descriptors have run out.
func (c *Cursor) skip(last uint64, cause error) error {
	if IsShortage(cause) {
		return fmt.Errorf("journal: %s: %w", segmentName(c.segment), cause)
	}
	lost, name := c.next, segmentName(c.segment)
	to := last + 1
	if names, err := c.fs.Names(c.dir); err == nil {
		slices.Sort(names)
		for _, n := range names {
			if first, ok := parseSegmentName(n); ok && first > c.next {
				to = min(to, first)
				break
			}
		}
	}
	c.turn(to)
	c.from = max(c.from, to)
	if errors.Is(cause, os.ErrNotExist) {
		cause = errors.New("the segment is gone")
	}
	return fmt.Errorf("journal: %s: records %d to %d cannot be read: %w", name, lost, to-1, cause)
}

// Close closes the file that is open. The cursor can be used again afterwards.
func (c *Cursor) Close() {
	if c.file != nil {
		_ = c.file.Close() // the file was only read
		c.file, c.buf = nil, nil
	}
	if c.from < c.next {
		c.from = c.next
	}
	c.next = c.segment
}
