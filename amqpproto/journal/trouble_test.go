package journal_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto/journal"
	"zamqp/tests/kit/crashfs"
)

// patient is a journal's owner whose threads and time run when the test says so.
type patient struct {
	testing.TB
	*journal.Journal
	fs     *crashfs.FS
	work   []func()
	later  []func()
	waits  []time.Duration
	synced uint64
	told   []error // by OnTrouble
	final  error
}

func newPatient(t testing.TB, fs *crashfs.FS, o journal.Options) *patient {
	t.Helper()
	p := &patient{TB: t, fs: fs}
	o.FS = fs
	o.Offload = func(work, done func()) { p.work = append(p.work, func() { work(); done() }) }
	o.After = func(wait time.Duration, fn func()) { p.later, p.waits = append(p.later, fn), append(p.waits, wait) }
	o.OnSynced = func(seq uint64) { p.synced = seq }
	o.OnTrouble = func(err error) { p.told = append(p.told, err) }
	o.OnError = func(err error) { p.final = err }
	var err error
	if p.Journal, _, err = journal.Open("d", o, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	p.run()
	return p
}

// run does everything that can be done without waiting.
func (p *patient) run() {
	for len(p.work) > 0 {
		fn := p.work[0]
		p.work = p.work[1:]
		fn()
	}
}

// pass lets the time of all retries come.
func (p *patient) pass() {
	later := p.later
	p.later = nil
	for _, fn := range later {
		fn()
	}
	p.run()
}

// append appends a numbered record and flushes.
func (p *patient) append(size int) uint64 {
	seq := p.Last() + 1
	b := binary.LittleEndian.AppendUint64(nil, seq)
	for range size {
		b = append(b, byte(seq)*7)
	}
	p.Append(b)
	p.Flush()
	p.run()
	return seq
}

// whole reads what a file system holds and wants the records up to last, in order.
func whole(t testing.TB, fs *crashfs.FS, last uint64, what string) {
	t.Helper()
	next := uint64(0)
	rep, err := journal.Read("d", fs, func(seq uint64, rec []byte) error {
		if next != 0 && seq != next {
			return fmt.Errorf("record %d where %d is next", seq, next)
		}
		next = seq + 1
		return checkNumbered(seq, rec)
	})
	if err != nil || len(rep.Damage) > 0 || rep.Last < last {
		t.Errorf("%s: want records up to %d: %+v, %v", what, last, rep, err)
	}
}

// TestPassingErrorsPass makes one step after the other fail, once or for a while. The journal
// continues without being opened again, and everything that it has reported as on disk is
// there after a power loss.
func TestPassingErrorsPass(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.EIO, syscall.EROFS} {
		for _, steps := range []int{1, 3} {
			for _, reserve := range []int64{0, 600} {
				for at := 1; passAtStep(t, at, steps, cause, reserve); at++ {
				}
			}
		}
	}
}

func passAtStep(t *testing.T, at, steps int, cause error, reserve int64) bool {
	what := fmt.Sprintf("%v from step %d for %d, reserve %d", cause, at, steps, reserve)
	rng := rand.New(rand.NewPCG(uint64(at), uint64(steps)))
	fs := crashfs.New()
	p := newPatient(t, fs, journal.Options{SegmentSize: 1000, Reserve: reserve})
	fs.Fail, fs.Short = cause, at%2 == 0
	begun := fs.Steps
	fs.FailAt = begun + at
	for i := range uint64(20) {
		p.append(100)
		if i == 15 {
			p.Release(10)
			p.run()
		}
		if fs.FailAt != 0 && fs.Steps >= begun+at+steps-1 {
			fs.FailAt = 0
		}
		if rng.IntN(3) == 0 {
			p.pass()
		}
		whole(t, fs.Crash(rng), p.synced, what)
	}
	reached := fs.Steps >= begun+at
	fs.FailAt = 0
	for range 10 {
		p.pass()
	}
	if p.final != nil || p.Trouble() != nil || p.synced != 20 || p.Behind() != 0 {
		t.Errorf("%s: final %v, trouble %v, synced %d, %d behind", what, p.final, p.Trouble(), p.synced, p.Behind())
	}
	if n := len(p.told); n%2 != 0 || n > 0 && (!errors.Is(p.told[0], cause) || p.told[n-1] != nil) {
		t.Errorf("%s: told %v", what, p.told)
	}
	if first := p.Segments()[0].First; first > 10 || p.Size() > 20*124+10*32 {
		t.Errorf("%s: %+v", what, p.Segments())
	}
	whole(t, fs.Crash(rng), 20, what)
	return reached
}

// TestAFailedSyncIsNotBelieved: after it the system counts the pages as written, and reports
// no error. The records go to another file.
func TestAFailedSyncIsNotBelieved(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range 50 {
		fs := crashfs.New()
		p := newPatient(t, fs, journal.Options{})
		p.append(2000)
		fs.During = func(op string) {
			if fs.FailAt = 0; op == "sync" {
				fs.FailAt, fs.Fail = fs.Steps+1, syscall.EIO
			}
		}
		p.append(2000)
		fs.During, fs.FailAt = nil, 0
		if p.synced != 1 || !errors.Is(p.Trouble(), syscall.EIO) {
			t.Fatalf("round %d: synced %d, %v", round, p.synced, p.Trouble())
		}
		p.append(10)
		p.pass()
		if p.synced != 3 || p.Trouble() != nil {
			t.Fatalf("round %d: synced %d, %v", round, p.synced, p.Trouble())
		}
		whole(t, fs.Crash(rng), 3, fmt.Sprint("round ", round))
	}
}

// TestReserve: on a full disk, records that free space are still written, and
// publishers have to wait until the reserve is there again.
func TestReserve(t *testing.T) {
	fs := crashfs.New()
	p := newPatient(t, fs, journal.Options{SegmentSize: 20_000, Reserve: 10_000})
	p.append(5000)
	fs.Room = 1
	last := uint64(0)
	for p.Trouble() == nil { // the file reaches further than what is in it
		last = p.append(5000)
	}
	if p.synced != last || !errors.Is(p.Trouble(), syscall.ENOSPC) {
		t.Fatalf("synced %d, %v", p.synced, p.Trouble())
	}
	for range 20 {
		p.append(100)
		p.pass()
	}
	if p.synced != last+20 || p.Trouble() == nil {
		t.Fatalf("synced %d, %v", p.synced, p.Trouble())
	}
	whole(t, fs.Kill(), last+20, "on the full disk")
	p.append(5000) // more than is left
	if p.synced != last+20 {
		t.Fatalf("synced %d", p.synced)
	}
	p.pass()
	fs.Room = 0
	p.pass()
	if p.synced != last+21 || p.Trouble() != nil {
		t.Fatalf("synced %d, %v", p.synced, p.Trouble())
	}
	if f := fs.Files["d/reserve"]; f == nil || len(f.Data) != 10_000 {
		t.Error("no reserve again")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// The next process takes it over.
	again := newPatient(t, fs.Kill(), journal.Options{SegmentSize: 20_000, Reserve: 10_000})
	again.fs.Room = 1
	again.append(100)
	if again.synced != last+22 {
		t.Errorf("synced %d, %v", again.synced, again.Trouble())
	}
}

// TestRetriesBackOff: a disk that stays full is asked now and then.
func TestRetriesBackOff(t *testing.T) {
	fs := crashfs.New()
	p := newPatient(t, fs, journal.Options{})
	fs.FailAt, fs.Fail = fs.Steps+1, syscall.EMFILE
	p.append(10)
	for range 10 {
		p.pass()
	}
	if first, last := p.waits[0], p.waits[len(p.waits)-1]; first > 100*time.Millisecond || last != 2*time.Second || len(p.told) != 1 {
		t.Errorf("%v, told %v", p.waits, p.told)
	}
	if err := p.Sync(); !errors.Is(err, syscall.EMFILE) {
		t.Error(err)
	}
	fs.FailAt = 0
	if err := p.Sync(); err != nil || p.synced != 1 {
		t.Error(err, p.synced)
	}
}

// TestCursorOverMovedRecords reads on where the last records of a segment were
// moved to another segment.
func TestCursorOverMovedRecords(t *testing.T) {
	for _, cut := range []bool{true, false} {
		fs := crashfs.New()
		p := newPatient(t, fs, journal.Options{})
		p.append(100)
		fs.During = func(op string) {
			if fs.FailAt = 0; op == "sync" || op == "truncate" && !cut {
				fs.FailAt, fs.Fail = fs.Steps+1, syscall.EIO
			}
		}
		p.append(100)
		p.append(100)
		fs.During = func(op string) {
			if fs.FailAt = 0; op == "truncate" && !cut {
				fs.FailAt, fs.Fail = fs.Steps+1, syscall.EIO
			}
		}
		p.pass()
		fs.During, fs.FailAt = nil, 0
		p.append(100)
		p.pass()
		c := p.Cursor(1)
		for want := uint64(1); want <= 4; want++ {
			if seq, rec, err := c.Next(p.synced); seq != want || err != nil || checkNumbered(seq, rec) != nil {
				t.Fatalf("cut %v: record %d, want %d, %v", cut, seq, want, err)
			}
		}
		if seq, _, err := c.Next(p.synced); seq != 0 || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("cut %v: %d, %v", cut, seq, err)
		}
		c.Close()
	}
}
