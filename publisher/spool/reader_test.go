package spool_test

import (
	"math/rand/v2"
	"testing"

	"zamqp/publisher/spool"
	"zamqp/tests/kit/wiretest"
)

// TestWhatHappensDuringARead: while the disk is read, messages come, leave, are read
// again from the beginning, and more reads are asked for. Each message is given back
// once between two Rewinds, and none is passed over.
func TestWhatHappensDuringARead(t *testing.T) {
	wiretest.Seeds(t, 200, func(t *testing.T, seed int64) {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		var work []func()
		s := open(t, spool.Options{Dir: t.TempDir(), SegmentSize: 3000, Offload: func(fn, done func()) {
			work = append(work, func() { fn(); done() })
		}})
		run := func() {
			for ; len(work) > 0; work = work[1:] {
				work[0]()
			}
		}
		added := uint64(0)
		given, left := map[uint64]bool{}, map[uint64]bool{}
		take := func(entries []spool.Entry, err error) {
			if err != nil {
				t.Error(err)
			}
			for _, e := range entries {
				if given[e.Number] {
					t.Errorf("message %d was given twice", e.Number)
				}
				given[e.Number] = true
			}
		}
		// add does not wait for the disk; what it told of is there for the next read.
		add := func() {
			for range 1 + rng.IntN(10) {
				added++
				if err := s.Add(noon, []spool.Message{message(int(added))}, func(error) {}); err != nil {
					t.Fatal(err)
				}
			}
			s.Flush()
		}
		for range 200 {
			switch rng.IntN(6) {
			case 0:
				add()
			case 1, 2:
				s.Fetch(1+rng.IntN(12), 1<<20, take)
			case 3: // some that were given leave, also in the middle
				for n := range given {
					if rng.IntN(2) == 0 {
						left[n] = true
						s.Gone(n)
						delete(given, n)
					}
				}
			case 4:
				run()
			default:
				if rng.IntN(4) == 0 {
					s.Rewind()
					clear(given)
				}
			}
		}
		for fetched := true; fetched; {
			run()
			fetched = s.Fetch(100, 1<<20, take) || len(work) > 0
		}
		for n := uint64(1); n <= added; n++ {
			if !given[n] && !left[n] {
				t.Errorf("message %d of %d was passed over", n, added)
			}
		}
		run()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
