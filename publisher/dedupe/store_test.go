package dedupe_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher/dedupe"
	"zamqp/tests/kit/crashfs"
)

// disk is a store on a disk that loses power, at a time that only the test moves.
type disk struct {
	t      *testing.T
	fs     *crashfs.FS
	now    time.Time
	todo   []func()
	timers []func()
	store  *dedupe.Store
	stored map[uint64]bool // by tag
	failed error
}

func (d *disk) Stored(_ uint32, tag uint64) { d.stored[tag] = true }

func open(t *testing.T, fs *crashfs.FS, now time.Time, most int) *disk {
	t.Helper()
	d := &disk{t: t, fs: fs, now: now, stored: map[uint64]bool{}}
	var err error
	d.store, _, err = dedupe.Open(dedupe.Options{
		Dir: "ids", Keep: time.Hour, Max: most, Now: func() time.Time { return d.now }, FS: fs, SegmentSize: 4 << 10,
		Offload: func(work, done func()) { d.todo = append(d.todo, func() { work(); done() }) },
		After:   func(_ time.Duration, fn func()) { d.timers = append(d.timers, fn) },
		Failed:  func(err error) { d.failed = err },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func id(n int) dedupe.Key { return dedupe.Sum(fmt.Append(nil, "message ", n)) }

func (d *disk) add(n int) {
	d.store.Add(id(n), d, 1, uint64(n))
	d.store.Flush()
}

// work does what was offloaded.
func (d *disk) work() {
	for len(d.todo) > 0 {
		next := d.todo[0]
		d.todo = d.todo[1:]
		next()
	}
}

// TestStoredIsThere: after a loss of power at any moment, the store knows each id that was
// reported as stored, and none that was never added.
func TestStoredIsThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_800_000_000, 0)
	for steps := range 200 {
		d := open(t, crashfs.New(), now, 1_000_000)
		added := 0
		for range steps {
			if rng.IntN(3) > 0 {
				added++
				d.add(added)
			} else if len(d.todo) > 0 {
				next := d.todo[0]
				d.todo = d.todo[1:]
				next()
			}
		}
		after := open(t, d.fs.Crash(rng), now, 1_000_000)
		for n := 1; n <= added; n++ {
			if d.stored[uint64(n)] && !after.store.Has(id(n)) {
				t.Fatalf("after %d steps: %d was stored and is not there", steps, n)
			}
		}
		if after.store.Has(id(added+1)) || after.store.Len() > added {
			t.Fatal("it knows what was never added")
		}
	}
}

// TestIdsAreForgotten: ids are forgotten when they are too old or too many, and their files are
// removed.
func TestIdsAreForgotten(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := open(t, crashfs.New(), now, 10_000)
	const all = 30_000
	for n := range all {
		d.add(n)
		d.work()
	}
	if d.store.Len() != 10_000 || d.store.Crowded() != all-10_000 || d.store.Has(id(0)) || !d.store.Has(id(all-1)) || !d.store.Has(id(all-10_000)) {
		t.Errorf("%d ids, %d crowded", d.store.Len(), d.store.Crowded())
	}
	octets := 0
	for _, f := range d.fs.Files {
		octets += len(f.Data)
	}
	if octets > 15_000*40 {
		t.Errorf("%d octets on disk", octets)
	}
	d.now = now.Add(time.Hour)
	if d.store.Has(id(all - 1)) {
		t.Error("its time is over")
	}
	for d.store.Expire(1000) {
	}
	if d.store.Len() != 0 {
		t.Errorf("%d ids", d.store.Len())
	}
	d.add(5) // again, and known from now on
	d.work()
	if again := open(t, d.fs.Kill(), d.now, 10_000); !again.store.Has(id(5)) || again.store.Len() != 1 {
		t.Errorf("%d ids", again.store.Len())
	}
}

// TestDiskInTrouble: waiters are told when the disk has taken their ids.
func TestDiskInTrouble(t *testing.T) {
	d := open(t, crashfs.New(), time.Unix(1_800_000_000, 0), 1000)
	d.add(1)
	d.work()
	d.fs.FailAt, d.fs.Fail = d.fs.Steps+1, syscall.ENOSPC
	d.add(2)
	d.work()
	if err, final := d.store.Err(); !errors.Is(err, syscall.ENOSPC) || final || d.stored[2] || !d.store.Has(id(2)) {
		t.Errorf("%v, final %v", err, final)
	}
	d.fs.FailAt = 0
	for len(d.timers) > 0 && !d.stored[2] {
		next := d.timers[0]
		d.timers = d.timers[1:]
		next()
		d.work()
	}
	if err, _ := d.store.Err(); err != nil || !d.stored[2] {
		t.Errorf("%v, stored %v", err, d.stored)
	}
}

// TestNoAllocations: looking up and adding an id allocates nothing, except when the memory grows.
func TestNoAllocations(t *testing.T) {
	d := open(t, crashfs.New(), time.Unix(1_800_000_000, 0), 1_000_000)
	text := []byte("an id")
	if n := testing.AllocsPerRun(1000, func() { d.store.Has(dedupe.Sum(text)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
