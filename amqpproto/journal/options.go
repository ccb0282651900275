package journal

import (
	"errors"
	"time"
)

const (
	// SegmentSizeDefault is small enough that the space of garbage is soon free
	// again, and large enough that the syncs of the directory do not matter.
	SegmentSizeDefault = 16 << 20

	// RecordMax bounds a record, in octets.
	RecordMax = 1<<30 - 1
)

// ErrLocked is the cause when another process has the directory open.
var ErrLocked = errors.New("in use by another process")

// ErrClosed is [Journal.Err] after Close.
var ErrClosed = errors.New("journal: closed")

// Options are the settings and callbacks of a [Journal]. The zero value suits a
// program without a loop, which waits with [Journal.Sync].
type Options struct {
	// SegmentSize is the size in octets after which a batch begins a new segment; 0
	// means SegmentSizeDefault. A segment may become larger by one batch.
	SegmentSize int64

	// Offload runs work on another goroutine and then done on the owner's thread,
	// as loop.Offload does. The journal has at most one piece of work in progress,
	// and keeps no goroutine of its own. With nil it starts a goroutine for each
	// batch; the next call of Flush or Sync notices that the batch has ended.
	Offload func(work, done func())

	// OnSynced is called after each batch with the number of the last record that
	// is on disk. It may be nil, as may the next ones.
	OnSynced func(seq uint64)

	// OnError is called once, with the error that ended the journal.
	OnError func(err error)

	// OnTrouble is called with a temporary error: the disk is full, there are
	// no descriptors left, or the disk does not answer. Until it is called with
	// nil, the owner should append only records that free space. What was appended
	// is kept and tried again.
	OnTrouble func(err error)

	// After runs fn on the owner's thread after a time; the journal uses it to try
	// again after a passing error. A program without a loop leaves it nil; its next
	// Sync tries again.
	After func(wait time.Duration, fn func())

	// Reserve is the size in octets of a file that keeps space for the time when
	// the disk is full; 0 = none. A larger batch has to wait until there is space.
	Reserve int64

	// OnSegment is called inside the Append that begins a new segment, before that
	// record gets its number. It may append records with which each segment should
	// begin. It is also called for the first segment.
	OnSegment func()

	// FS is the file system; nil means the operating system's. For tests.
	FS FS
}
