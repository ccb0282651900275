package journal

import (
	"errors"
	"time"
)

const (
	// SegmentSizeDefault is small enough that garbage is soon given back, and
	// large enough that the syncs of a directory do not count.
	SegmentSizeDefault = 16 << 20

	// RecordMax bounds a record, in octets.
	RecordMax = 1<<30 - 1
)

// ErrLocked is the cause when another process has the directory open.
var ErrLocked = errors.New("in use by another process")

// ErrClosed is [Journal.Err] after Close.
var ErrClosed = errors.New("journal: closed")

// Options are settings and callbacks of a [Journal]. The zero value is usable
// by a program without a loop, which waits with [Journal.Sync].
type Options struct {
	// SegmentSize is the size in octets after which a batch begins a new
	// segment; 0 is SegmentSizeDefault. A segment may become larger by one batch.
	SegmentSize int64

	// Offload runs work on another goroutine and then done on the owner's thread:
	// loop.Offload has this shape. The journal has at most one piece of work under
	// way, and keeps no goroutine of its own. Nil starts a goroutine for each
	// batch, whose end is noticed by the next call of Flush or Sync.
	Offload func(work, done func())

	// OnSynced is told the number of the last record that is on disk, after each
	// batch. May be nil, as may the next ones.
	OnSynced func(seq uint64)

	// OnError is told the error that ended the journal, once.
	OnError func(err error)

	// OnTrouble is told a passing error: the disk is full, there are no descriptors,
	// or it does not answer. Until it is told nil the owner should append only what
	// gives room back; what was appended is kept and tried again.
	OnTrouble func(err error)

	// After runs fn on the owner's thread after a time; it is for the next try after
	// a passing error. Nil is for a program without a loop, whose next Sync tries.
	After func(wait time.Duration, fn func())

	// Reserve is the size in octets of a file that keeps room for when the disk is
	// full; 0 = none. A batch that is larger has to wait until there is room.
	Reserve int64

	// OnSegment is called inside the Append that begins a new segment, before that
	// record is numbered, and may append what each segment should begin with. It
	// is also called for the first segment of all.
	OnSegment func()

	// FS is where the files are; nil is the operating system. For tests.
	FS FS
}
