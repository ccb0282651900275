package journal

import (
	"errors"
	"syscall"
	"time"
)

// trouble is a temporary error of the disk. The batch that failed is kept, and tried again
// until it is on disk. Records that are appended in the meantime are collected for the next
// batch.
type trouble struct {
	cause error // nil = none
	holds bool  // job waits for another attempt
	wait  time.Duration
	armed bool // Options.After will call
	round uint // number of the call that armed is about: earlier ones are ignored
}

func (t *trouble) end() { *t = trouble{round: t.round + 1} }

// The time between two attempts doubles.
const (
	retryMin = 50 * time.Millisecond
	retryMax = 2 * time.Second
)

// isPassing reports whether an error is temporary. An error is final if it says that the
// files are not ours any more (the directory or its disk was removed), or if it does not come
// from the system. After a final error a confirmed record may be lost, and the records after
// it are worth nothing.
func isPassing(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.EBADF, syscall.EINVAL, syscall.EFAULT, syscall.EFBIG:
		return false
	}
	return true
}

// IsShortage reports whether an error comes from a lack of descriptors, memory or disk
// space, which others use now. Such an error says nothing about the files.
func IsShortage(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// isFull reports whether an error says that the disk is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// suffer handles a temporary error. After the first error of a full disk, it uses the reserve
// at once.
func (j *Journal) suffer(err error) {
	t := &j.trouble
	was := t.cause
	t.cause, t.holds = err, true
	w := &j.writer
	saved := isFull(err) && !j.job.stored && w.reserve.serves(&j.job) && !w.reserve.wanted // if it was wanted, the last attempt has tried it
	if saved {
		w.reserve.wanted, w.doubtful = true, true
	}
	if w.doubtful {
		j.move()
	}
	if was == nil && j.opt.OnTrouble != nil {
		j.opt.OnTrouble(err)
	}
	if saved {
		j.again()
		return
	}
	j.later()
}

// recover handles a batch that is on disk after trouble. While the reserve is in use, there
// is space only for records that free space.
func (j *Journal) recover() {
	t := &j.trouble
	if t.cause == nil {
		return
	}
	t.holds = false
	if j.writer.reserve.spent {
		j.later()
		return
	}
	t.end()
	if j.opt.OnTrouble != nil {
		j.opt.OnTrouble(nil)
	}
}

// later tries again after a pause.
func (j *Journal) later() {
	t := &j.trouble
	if t.armed || j.opt.After == nil {
		return
	}
	t.armed = true
	t.wait = min(max(2*t.wait, retryMin), retryMax)
	round := t.round
	j.opt.After(t.wait, func() {
		if t.round != round || j.err != nil {
			return
		}
		t.armed = false
		j.notice()
		j.again()
		j.rebuild()
	})
}

// again makes the writer try once more.
func (j *Journal) again() {
	if j.trouble.holds && !j.underway && j.err == nil {
		j.job.rebuilds = true
		j.start()
	}
}

// rebuild makes the next batch, which may be empty, build the reserve again.
func (j *Journal) rebuild() {
	if j.trouble.cause == nil || j.trouble.holds {
		return
	}
	j.gather.rebuilds, j.wanted = true, true
	j.hand()
}

// move makes the writer put the records of the job into a new segment that begins with
// them. The copies in the old file no longer count: recovery reads a segment only up to
// where the next one begins.
func (j *Journal) move() {
	b := &j.job
	if b.first == 0 || b.opens == b.first {
		return
	}
	b.opens = b.first
	moved := Segment{First: b.first, Size: headSize + b.size()}
	at := len(j.segments)
	for at > 0 && j.segments[at-1].First > b.first {
		at--
	}
	rest := b.size()
	if j.gather.opens == 0 {
		rest += j.gather.size()
		moved.Size = headSize + rest
	}
	if at == 0 { // the segment was released in the meantime, and with it the records to be moved
		j.gather.removes = append(j.gather.removes, b.first)
		return
	}
	if j.segments[at-1].First == b.first { // an earlier process has only begun the file
		return
	}
	j.segments[at-1].Size -= rest
	j.segments = append(j.segments[:at], append([]Segment{moved}, j.segments[at:]...)...)
}
