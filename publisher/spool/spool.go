package spool

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"zamqp/amqpproto/journal"
)

// Names of the two journals.
const (
	queueDir    = "queue"
	rejectedDir = "aside"
)

// MaxDefault is the bound of a spool whose Options set none.
const MaxDefault = 1 << 30

// behindMax bounds how many octets wait in memory for a disk that is slower than the
// writers.
const behindMax = 64 << 20

// segmentSize is smaller than the journal's default, because the space of messages that have
// left is freed by whole segments.
const segmentSize = 4 << 20

var (
	// ErrFull says that the spool is full. Nothing was kept.
	ErrFull = errors.New("the spool is full")
	// ErrClosed is the outcome after Close.
	ErrClosed = errors.New("the spool is closed")
	// ErrDisk says that the disk does not take anything now. Nothing was kept.
	ErrDisk = errors.New("the spool's disk takes nothing now")
)

// Options describe a spool.
type Options struct {
	Dir string // made if it does not exist
	Max int64  // bound on the octets of all messages, rejected ones included, plus 64 for each; 0 is MaxDefault

	// Offload runs work on another goroutine, and then done on the owner's thread. It is
	// nil in programs without a loop, which wait with Sync.
	Offload func(work, done func())
	// Failed is called once when the disk has failed. Nothing is stored any more.
	Failed func(error)
	// Troubled is called with a temporary error of the disk, and with nil when it has
	// passed. Messages that were added are kept and written again. Add refuses new ones
	// until then.
	Troubled func(error)
	// After runs fn on the owner's thread after a delay, for these attempts. It is nil in
	// programs without a loop.
	After func(wait time.Duration, fn func())
	// Reserve is how many octets of the disk are kept free, so that a full disk can still
	// record which messages have left; 0 = none.
	Reserve int64
	// FS is the file system, for tests; nil is that of the operating system.
	FS          journal.FS
	SegmentSize int64 // 0 is 4 MiB
}

// Spool is an open spool.
type Spool struct {
	o        Options
	queue    *journal.Journal
	rejected *journal.Journal
	err      error     // the disk's, or ErrClosed
	since    time.Time // when an Add first found the disk in trouble

	next  uint64   // number of the next message
	out   uint64   // number of the first message that has not left
	sizes []uint32 // of the messages from out on
	held  int64    // their sum
	gone  map[uint64]struct{}
	steps int    // how many messages may still be forgotten before the next Flush
	told  uint64 // value of out in the journal
	marks []mark // positions of messages in the journal
	span  int64  // octets since the last mark
	safe  uint64 // number of the first message that is not on disk yet

	rejections    map[uint64]uint32 // sizes of the rejected messages
	rejectedBytes int64

	waiting  []waiter // for the queue's journal
	moving   []waiter // for the journal of the rejected
	lent     int64    // octets of large bodies that the queue's journal has not written yet
	encoder  encoder
	reader   reader
	counters Counters
}

// A mark says that message first is in record seq or later. There is one mark for each
// markEvery octets.
type mark struct{ first, seq uint64 }

const markEvery = 64 << 10

// A waiter is called when record seq is on disk, and with it all messages before until.
type waiter struct {
	seq   uint64
	until uint64
	lent  int64 // octets that the record has lent
	done  func(error)
}

// Counters count from Open on; they never fall.
type Counters struct {
	Added      uint64
	Left       uint64 // confirmed by the broker, or dropped
	Rejections uint64 // moved to the rejected ones
}

// Stats is what a spool holds now.
type Stats struct {
	Counters
	Messages      int   // that wait to be sent
	Bytes         int64 // that they hold
	Rejected      int
	RejectedBytes int64
	Max           int64
	DiskBytes     int64 // of all files
	Oldest        uint64
	FailedCause   error
	Trouble       error // a temporary error of the disk
}

// Report is what Open found.
type Report struct {
	Messages, Rejected int
	Bytes              int64
	Queue, Rejections  journal.Report
}

// Open opens the spool of a directory. The error is [journal.ErrLocked], wrapped,
// while another process has it.
func Open(o Options) (*Spool, Report, error) {
	if o.Max <= 0 {
		o.Max = MaxDefault
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = segmentSize
	}
	s := &Spool{o: o, next: 1, out: 1, gone: map[uint64]struct{}{}, rejections: map[uint64]uint32{}, steps: math.MaxInt}
	var r Report
	var err error
	// Lock the directory before anything is read.
	s.queue, r.Queue, err = journal.Open(filepath.Join(o.Dir, queueDir), s.options(s.synced, s.segment, o.Reserve), s.replayQueue)
	if err != nil {
		return nil, r, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	s.rejected, r.Rejections, err = journal.Open(filepath.Join(o.Dir, rejectedDir), s.options(s.moved, nil, o.Reserve/8), s.replayRejected)
	if err != nil {
		_ = s.queue.Close() // the first error counts
		return nil, r, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	for n := range s.rejections {
		s.forget(n) // the process ended between the two writes
	}
	s.counters = Counters{}
	s.steps = s.stepsMax()
	s.told, s.safe, s.reader.next = s.out, s.next, s.out
	r.Messages, r.Bytes, r.Rejected = len(s.sizes), s.held, len(s.rejections)
	return s, r, nil
}

func (s *Spool) options(synced func(uint64), segment func(), reserve int64) journal.Options {
	return journal.Options{
		SegmentSize: s.o.SegmentSize, Offload: s.o.Offload, FS: s.o.FS,
		OnSynced: synced, OnError: s.fail, OnSegment: segment,
		OnTrouble: s.troubled, After: s.o.After, Reserve: reserve,
	}
}

// replayQueue applies one record at Open.
func (s *Spool) replayQueue(seq uint64, rec []byte) error {
	if len(rec) == 0 {
		return unknown(rec)
	}
	switch rec[0] {
	case recordState:
		n, err := scanNumber(rec[1:])
		if err != nil {
			return err
		}
		s.next = max(s.next, n)
		s.leaveUpTo(n)
		return nil
	case recordGroup:
		return scanGroup(rec[1:], func(_ group, number uint64, m Message) {
			s.enter(number, seq, m.Size())
		})
	case recordGone:
		n, err := scanNumber(rec[1:])
		if err == nil {
			s.Gone(n)
		}
		return err
	}
	return unknown(rec)
}

// enter records a message. Numbers have gaps only where damage to the files has destroyed
// messages.
func (s *Spool) enter(number, seq uint64, size int64) {
	if number < s.next {
		return
	}
	if len(s.sizes) == 0 {
		s.out, s.next = number, number
	}
	for ; s.next < number; s.next++ { // lost
		s.sizes = append(s.sizes, 0)
	}
	s.sizes = append(s.sizes, uint32(min(size, 1<<32-1)))
	s.held += size
	s.next++
	s.span += size
	if n := len(s.marks); n == 0 || s.marks[n-1].seq != seq && s.span >= markEvery {
		s.marks = append(s.marks, mark{number, seq})
		s.span = 0
	}
}

// leaveUpTo forgets all messages before n.
func (s *Spool) leaveUpTo(n uint64) {
	for s.out < n && len(s.sizes) > 0 {
		s.held -= int64(s.sizes[0])
		delete(s.gone, s.out)
		s.sizes = s.sizes[1:]
		s.out++
	}
	if len(s.sizes) == 0 {
		s.out = max(s.out, n)
	}
	for len(s.marks) > 1 && s.marks[1].first <= s.out {
		s.marks = s.marks[1:]
	}
}

func (s *Spool) replayRejected(_ uint64, rec []byte) error {
	if len(rec) == 0 {
		return unknown(rec)
	}
	switch rec[0] {
	case recordRejected:
		a, err := scanRejected(rec[1:])
		if err != nil {
			return err
		}
		s.reject(a.Number, a.Size())
		return nil
	case recordGone:
		n, err := scanNumber(rec[1:])
		if err != nil {
			return err
		}
		s.rejectedBytes -= int64(s.rejections[n])
		delete(s.rejections, n)
		return nil
	}
	return unknown(rec)
}

func (s *Spool) reject(number uint64, size int64) {
	s.rejectedBytes += size - int64(s.rejections[number])
	s.rejections[number] = uint32(min(size, 1<<32-1))
}

// Add stores messages, all or none of them. After a kill in the middle, either all are there
// or none. done is called later, never within Add, when they are on disk, or with the reason
// why they are not. If Add returns an error, nothing was kept and done is not called. The
// messages are copied, except bodies over a MiB, which must not change until done is called.
// Flush sends the messages to the disk.
func (s *Spool) Add(now time.Time, messages []Message, done func(error)) error {
	if s.err != nil {
		return s.err
	}
	if err := s.Refuses(now); err != nil {
		return err
	}
	var size int64
	for i := range messages {
		size += messages[i].Size()
	}
	switch free := s.o.Max - s.held - s.rejectedBytes; {
	case size > s.o.Max:
		return fmt.Errorf("%w: %d octets are more than its bound of %d: raise spool_max", ErrFull, size, s.o.Max)
	case size > free:
		return fmt.Errorf("%w: %d messages wait and %d are aside, %d of %d octets: raise spool_max, or see what keeps the broker away",
			ErrFull, len(s.sizes), len(s.rejections), s.held+s.rejectedBytes, s.o.Max)
	case size > journal.RecordMax-1<<16:
		return fmt.Errorf("%w: %d octets in one transaction", ErrFull, size)
	case s.behind() > behindMax:
		return fmt.Errorf("%w: the disk is %d octets behind", ErrFull, s.behind())
	}
	s.encoder.group(group{first: s.next, at: now}, messages)
	seq, lent := s.encoder.appendTo(s.queue)
	s.lent += lent
	for i := range messages {
		s.enter(s.next, seq, messages[i].Size())
	}
	s.counters.Added += uint64(len(messages))
	s.waiting = append(s.waiting, waiter{seq, s.next, lent, done})
	return nil
}

// behind returns how many octets wait for the disk.
func (s *Spool) behind() int64 { return int64(s.queue.Behind()) + s.lent }

// Flush sends what was added since the last call to the disk. Call it once a turn.
func (s *Spool) Flush() {
	s.steps = s.stepsMax()
	s.forgetGone()
	if s.err != nil {
		return
	}
	if s.out-s.told >= tellEvery || s.out == s.next && s.told != s.out {
		s.tell()
	}
	s.queue.Flush()
	s.rejected.Flush()
}

// tellEvery is how many messages may leave before the journal records it.
const tellEvery = 256

// tell records which messages have left, and frees their segments.
func (s *Spool) tell() {
	s.told = s.out
	s.queue.Append(appendNumber(nil, recordState, s.out))
	if len(s.sizes) == 0 {
		s.marks = s.marks[:0]
		s.queue.Release(s.queue.Last())
	} else {
		s.queue.Release(s.marks[0].seq)
	}
}

// segment begins each new segment with a record of what has left, because the segment with
// the last such record may be removed.
func (s *Spool) segment() {
	s.queue.Append(appendNumber(nil, recordState, s.out))
}

// synced is called by the journal when records are on disk.
func (s *Spool) synced(seq uint64) { s.tellTo(&s.waiting, seq) }

func (s *Spool) moved(seq uint64) { s.tellTo(&s.moving, seq) }

// tellTo calls the waiters whose records are on disk. They may add to the list.
func (s *Spool) tellTo(list *[]waiter, seq uint64) {
	n := 0
	for n < len(*list) && (*list)[n].seq <= seq {
		s.safe = max(s.safe, (*list)[n].until)
		s.lent -= (*list)[n].lent
		n++
	}
	ready := (*list)[:n:n]
	if *list = (*list)[n:]; len(*list) == 0 {
		*list = nil
	}
	for _, w := range ready {
		w.done(nil)
	}
}

// fail is called when one of the journals has failed.
func (s *Spool) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = fmt.Errorf("the spool's disk has failed: %w", err)
	if s.o.Failed != nil {
		s.o.Failed(s.err)
	}
	s.tellAll(s.err)
}

func (s *Spool) tellAll(err error) {
	lists := append(s.waiting, s.moving...)
	s.waiting, s.moving, s.lent = nil, nil, 0
	for _, w := range lists {
		w.done(err)
	}
}

// Reject moves a message to the rejected ones, with the reason why the broker does not take
// it. When that is on disk, the message has left the spool and done is called. done may be
// nil.
func (s *Spool) Reject(now time.Time, e *Entry, reason string, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if s.err != nil {
		done(s.err)
		return
	}
	s.encoder.rejected(&Rejected{Number: e.Number, Since: now, Reason: reason, Message: e.Message})
	seq, _ := s.encoder.appendTo(s.rejected)
	s.counters.Rejections++
	number, size := e.Number, e.Size()
	s.moving = append(s.moving, waiter{seq: seq, done: func(err error) {
		if err == nil {
			s.reject(number, size)
			s.forget(number)
		}
		done(err)
	}})
}

// forget is Gone for a message that leaves before older ones. It is recorded, so that no
// restart brings the message back.
func (s *Spool) forget(number uint64) {
	if _, gone := s.gone[number]; gone || number < s.out || number >= s.next {
		return
	}
	s.queue.Append(appendNumber(nil, recordGone, number))
	s.Gone(number)
}

// Oldest returns the number of the first message that waits to be sent, or else of the next one.
func (s *Spool) Oldest() uint64 { return s.out }

// Next returns the number that the next message will get.
func (s *Spool) Next() uint64 { return s.next }

// Holds reports whether a message waits to be sent.
func (s *Spool) Holds(number uint64) bool {
	_, gone := s.gone[number]
	return number >= s.out && number < s.next && !gone
}

// Empty reports whether no message waits to be sent.
func (s *Spool) Empty() bool { return len(s.sizes) == 0 }

// Len returns how many messages wait to be sent.
func (s *Spool) Len() int { return len(s.sizes) - len(s.gone) }

// Err returns why nothing is stored any more, or nil while messages are stored.
func (s *Spool) Err() error { return s.err }

// Stats returns what the spool holds.
func (s *Spool) Stats() Stats {
	return Stats{
		Counters: s.counters, Messages: s.Len(), Bytes: s.held, Rejected: len(s.rejections), RejectedBytes: s.rejectedBytes,
		Max: s.o.Max, DiskBytes: s.queue.Size() + s.rejected.Size(), Oldest: s.out, FailedCause: s.err, Trouble: s.trouble(),
	}
}

// Sync puts everything on disk and waits for it.
func (s *Spool) Sync() error {
	err := s.queue.Sync()
	if aerr := s.rejected.Sync(); err == nil {
		err = aerr
	}
	return err
}

// Close writes what is not written yet and releases the directory.
func (s *Spool) Close() error {
	if errors.Is(s.err, ErrClosed) {
		return nil
	}
	s.steps = math.MaxInt
	s.forgetGone() // without it they would come back
	if s.err == nil && s.told != s.out {
		s.tell()
	}
	s.reader.close()
	err := s.queue.Close()
	if aerr := s.rejected.Close(); err == nil {
		err = aerr
	}
	s.err = ErrClosed
	s.tellAll(ErrClosed)
	return err
}

// Exists reports whether a directory has a spool in it.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, queueDir))
	return err == nil
}
