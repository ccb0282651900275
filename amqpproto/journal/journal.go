package journal

import (
	"fmt"
	"io"
	"sync/atomic"
)

// Journal is an open log. See the package's documentation for its threads.
type Journal struct {
	dir  string
	opt  Options
	fs   FS
	lock io.Closer
	seed uint32
	err  error // the final error: nothing is stored after it

	trouble trouble

	appended int64     // octets, since Open
	next     uint64    // number of the next record
	synced   uint64    // number of the last one on disk
	segments []Segment // oldest first; the last one is being written
	roll     bool      // the next batch begins a segment, however small the last one is
	inHead   bool      // OnSegment is running

	gather   batch // what Append has collected
	spare    []byte
	wanted   bool // Flush was called for what is gathered
	underway bool // the writer has a batch, or has finished one and notice was not called yet

	// These belong to the writer while underway is set.
	writer   writer
	job      batch
	claimed  atomic.Bool   // a goroutine has begun to write job
	finished chan struct{} // has room for one: job is done, and failed is set
	failed   error
}

// batch is what one write and one sync put on disk.
type batch struct {
	octets  []byte
	lent    []lent   // lent parts, which come in between
	first   uint64   // number of its first record; 0 = it has none
	opens   uint64   // number of the first record of the segment that it begins; 0 if it continues the last one
	last    uint64   // number of its last record
	removes []uint64 // segments to remove when it is on disk, by their first records

	stored   bool // the records of the batch are on disk
	rebuilds bool // the writer must try to build its reserve again
}

// A lent part of a record is written from its own memory.
type lent struct {
	record int // where its record begins in the batch's octets
	at     int // it comes after so many of these octets
	end    int // where its record ends in them
	octets []byte
	sealed bool // the record has its CRC
}

// size is how many octets the batch takes in its file.
func (b *batch) size() int64 {
	n := int64(len(b.octets))
	for i := range b.lent {
		n += int64(len(b.lent[i].octets))
	}
	return n
}

func (b *batch) empty() bool { return len(b.octets) == 0 && len(b.removes) == 0 && !b.rebuilds }

// Append copies a record, given in parts, into the batch being gathered and returns its
// number. The record is stored when OnSynced has reported this number or a higher one.
// Append allocates only to make the batch larger. After a final failure it does nothing,
// and the number is never reported. It panics if the record is over RecordMax.
func (j *Journal) Append(parts ...[]byte) uint64 { return j.append(nil, parts) }

// AppendLent is Append for a record with a large last part. This part is not copied, and
// must not change until the number is reported or the journal has failed.
func (j *Journal) AppendLent(last []byte, parts ...[]byte) uint64 { return j.append(last, parts) }

// A Piece is a part of a record. A lent one is not copied, as with the last part of
// [Journal.AppendLent].
type Piece struct {
	Octets []byte
	Lent   bool
}

// AppendPieces is Append for a record with several large parts, each of which may be lent.
func (j *Journal) AppendPieces(pieces []Piece) uint64 {
	length := 0
	for _, p := range pieces {
		length += len(p.Octets)
	}
	seq, was := j.number(length)
	if j.err != nil {
		return seq
	}
	g := &j.gather
	first := len(g.lent)
	g.octets = appendRecord(g.octets, j.seed, seq, was == 0, length, nil)
	for _, p := range pieces {
		if p.Lent && len(p.Octets) > 0 {
			g.lent = append(g.lent, lent{record: was, at: len(g.octets), octets: p.Octets})
		} else {
			g.octets = append(g.octets, p.Octets...)
		}
	}
	for i := range g.lent[first:] {
		g.lent[first+i].end = len(g.octets)
	}
	if len(g.lent) == first {
		sealWhole(j.seed, g.octets[was:])
	}
	j.grew(int64(recordHead + length))
	return seq
}

func (j *Journal) append(last []byte, parts [][]byte) uint64 {
	length := len(last)
	for _, p := range parts {
		length += len(p)
	}
	seq, was := j.number(length)
	if j.err != nil {
		return seq
	}
	j.gather.octets = appendRecord(j.gather.octets, j.seed, seq, was == 0, length, parts)
	if end := len(j.gather.octets); len(last) > 0 {
		j.gather.lent = append(j.gather.lent, lent{record: was, at: end, end: end, octets: last})
	}
	j.grew(int64(recordHead + length))
	return seq
}

// number returns the number of the next record and its offset in the batch's octets. If
// the journal has ended, the record must not be appended.
func (j *Journal) number(length int) (seq uint64, was int) {
	if length > RecordMax {
		panic(fmt.Sprintf("journal: a record of %d octets; the maximum is %d", length, RecordMax))
	}
	if j.err == nil && len(j.gather.octets) == 0 && !j.inHead {
		j.begin()
	}
	seq = j.next
	j.next++
	was = len(j.gather.octets)
	if j.err == nil {
		if was == 0 {
			j.gather.first = seq
		}
		j.gather.last = seq
	}
	return seq, was
}

// grew counts the octets that were appended.
func (j *Journal) grew(n int64) {
	j.segments[len(j.segments)-1].Size += n
	j.appended += n
}

// begin is called before the first record of a batch: only there may a segment
// begin, so that a batch is one write to one file.
func (j *Journal) begin() {
	if n := len(j.segments); n > 0 && j.segments[n-1].Size < j.opt.SegmentSize && !j.roll {
		return
	}
	j.roll = false
	j.gather.opens = j.next
	j.segments = append(j.segments, Segment{First: j.next, Size: headSize})
	if j.opt.OnSegment != nil {
		j.inHead = true
		j.opt.OnSegment()
		j.inHead = false
	}
}

// Flush hands what was gathered to the writer, or, if the writer is busy, does so when
// the batch before is on disk. Call it once a turn.
func (j *Journal) Flush() {
	j.notice()
	j.wanted = true
	j.hand()
}

// hand starts the writer, if there is something to write and the writer is idle.
func (j *Journal) hand() {
	if j.underway || !j.wanted || j.err != nil || j.trouble.holds {
		return
	}
	j.wanted = false
	if j.gather.empty() {
		return
	}
	j.job, j.gather = j.gather, batch{octets: j.spare[:0]}
	j.spare = nil
	j.start()
}

// start begins the work on job.
func (j *Journal) start() {
	j.underway = true
	j.claimed.Store(false)
	if j.opt.Offload != nil {
		j.opt.Offload(j.work, j.notice)
	} else {
		go j.work()
	}
}

// work does job. It runs on another goroutine, or in Sync on the owner's; the first one does it.
func (j *Journal) work() {
	if j.claimed.CompareAndSwap(false, true) {
		j.failed = j.writer.do(&j.job)
		j.finished <- struct{}{}
	}
}

// notice handles a batch that is done.
func (j *Journal) notice() {
	if !j.underway {
		return
	}
	select {
	case <-j.finished:
		j.done()
	default:
	}
}

// keepMax is how large a buffer is kept for the next batch.
const keepMax = 4 << 20

func (j *Journal) done() {
	j.underway = false
	last := j.job.last
	if j.job.stored && cap(j.job.octets) <= keepMax {
		j.spare = j.job.octets
	}
	err := j.failed
	switch {
	case err != nil && !isPassing(err):
		j.fail(err)
		return
	case err != nil && !j.job.stored:
		j.suffer(err)
		return
	case err != nil: // only segments are still to be removed
		j.job = batch{removes: j.job.removes, stored: true}
		j.suffer(err)
	default:
		j.job = batch{}
		j.recover()
		j.hand() // first, so that the disk does not wait for what the owner does now
	}
	if last > j.synced {
		j.synced = last
		if j.opt.OnSynced != nil {
			j.opt.OnSynced(last)
		}
	}
}

// fail ends the journal.
func (j *Journal) fail(err error) {
	if j.err != nil {
		return
	}
	j.err = err
	j.gather, j.job, j.spare = batch{}, batch{}, nil
	j.trouble.end()
	if j.opt.OnError != nil {
		j.opt.OnError(err)
	}
}

// Sync puts everything that was appended on disk and waits for it, on the owner's thread. It
// is for programs without a loop, and for the end of a loop. The callbacks run as usual. It
// returns the error that ended the journal, or a temporary error that keeps it from writing:
// then Sync can be called again.
func (j *Journal) Sync() error {
	j.wanted = true
	j.again()
	j.hand()
	for j.underway {
		// The goroutine for this work may already have ended.
		j.work()
		<-j.finished
		j.done()
		if j.trouble.holds && !j.underway {
			return j.trouble.cause
		}
		j.wanted = true
		j.hand()
	}
	return j.err
}

// Release says that no record below before is needed any more. Segments that
// hold only such records are removed, oldest first, when everything that was
// appended until now is on disk. The segment being written always stays.
func (j *Journal) Release(before uint64) {
	n := 0
	for n+1 < len(j.segments) && j.segments[n+1].First <= before {
		j.gather.removes = append(j.gather.removes, j.segments[n].First)
		n++
	}
	if n > 0 && j.err == nil {
		j.segments = append(j.segments[:0], j.segments[n:]...)
		j.Flush()
	}
}

// Last returns the number of the last record appended; 0 if there never was one.
func (j *Journal) Last() uint64 { return j.next - 1 }

// Synced returns the number of the last record that is on disk.
func (j *Journal) Synced() uint64 { return j.synced }

// Err returns the error that ended the journal, or nil.
func (j *Journal) Err() error { return j.err }

// Trouble returns why only records that free space should be appended: the disk takes nothing
// now, or only the reserve is left. It is nil if there is no trouble.
func (j *Journal) Trouble() error { return j.trouble.cause }

// Segments lists the files, oldest first. The records of a segment end where the next segment
// begins. The slice is valid until the next call.
func (j *Journal) Segments() []Segment { return j.segments }

// Size returns how many octets the records and their heads take on disk.
func (j *Journal) Size() int64 {
	var size int64
	for _, s := range j.segments {
		size += s.Size
	}
	return size
}

// SegmentSize is [Options.SegmentSize], or its default.
func (j *Journal) SegmentSize() int64 { return j.opt.SegmentSize }

// Behind returns how many octets were appended and are not on disk yet, without those that
// were lent. They are in memory, so an owner that appends faster than the disk can write
// should stop at some limit.
func (j *Journal) Behind() int {
	n := len(j.gather.octets)
	return n + len(j.job.octets)
}

// Appended returns how many octets were appended since Open.
func (j *Journal) Appended() int64 { return j.appended }

// Close syncs, and releases the directory. Its error is that of Sync, or that of closing.
func (j *Journal) Close() error {
	if j.err == ErrClosed {
		return nil
	}
	err := j.Sync()
	if cerr := j.writer.close(err == nil); err == nil {
		err = cerr
	}
	if cerr := j.lock.Close(); err == nil {
		err = cerr
	}
	j.err = ErrClosed
	return err
}
