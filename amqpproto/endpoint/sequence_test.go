package endpoint_test

import (
	"math/rand/v2"
	"testing"

	"zamqp/amqpproto/endpoint"
)

// A sequence does what a map from numbers to values does, whatever its ring does
// meanwhile.
func TestSequenceAgainstAMap(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		burst := 1 // some sequences grow to several blocks
		if seed%4 == 0 {
			burst = 300
		}
		var s endpoint.Sequence[uint64]
		s.Reset()
		want := map[uint64]uint64{}
		base, next := uint64(1), uint64(1)
		for range 500 {
			switch rnd.IntN(7) {
			case 0, 1, 2, 3:
				for range 1 + rnd.IntN(burst) {
					p := s.Push()
					if *p != 0 {
						t.Fatalf("seed %d: Push gave %d, want zero", seed, *p)
					}
					*p = rnd.Uint64()
					want[next] = *p
					next++
				}
			case 4, 5:
				for n := rnd.IntN(2 * burst); n >= 0 && base < next; n-- {
					s.Pass()
					delete(want, base)
					base++
				}
			case 6:
				if rnd.IntN(40) == 0 {
					s.Reset()
					clear(want)
					base, next = 1, 1
				}
				if want := rnd.IntN(100 * burst); rnd.IntN(4) == 0 {
					s.Fit(want)
				}
				if s.Shrink(64); s.Len() == 0 && s.Cap() > 64 {
					t.Fatalf("seed %d: an empty sequence keeps a ring of %d", seed, s.Cap())
				}
			}
			if s.Base() != base || s.Next() != next || s.Len() != len(want) {
				t.Fatalf("seed %d: %d to %d, want %d to %d", seed, s.Base(), s.Next(), base, next)
			}
			if burst > 1 && rnd.IntN(20) > 0 {
				continue // to look at thousands each time takes too long
			}
			for n, v := range want {
				if !s.Has(n) || *s.At(n) != v {
					t.Fatalf("seed %d: %d has %d, want %d", seed, n, *s.At(n), v)
				}
			}
			if s.Has(base-1) || s.Has(next) {
				t.Fatalf("seed %d: has a number outside of %d to %d", seed, base, next)
			}
		}
	}
}

func TestRangeOfAnAck(t *testing.T) {
	var s endpoint.Sequence[int]
	s.Reset()
	for range 9 {
		s.Push()
	}
	for range 3 {
		s.Pass()
	} // 4 to 9 are left
	for _, row := range []struct {
		n           uint64
		multiple    bool
		first, last uint64
		ok          bool
	}{
		{4, false, 4, 4, true},
		{9, false, 9, 9, true},
		{7, true, 4, 7, true},
		{0, true, 4, 9, true},
		{0, false, 0, 0, false},
		{3, false, 3, 3, false},
		{3, true, 4, 3, false},
		{10, true, 4, 10, false},
		{1 << 63, false, 1 << 63, 1 << 63, false},
	} {
		first, last, ok := s.Range(row.n, row.multiple)
		if ok != row.ok || ok && (first != row.first || last != row.last) {
			t.Errorf("%d, multiple %v: %d to %d, %v", row.n, row.multiple, first, last, ok)
		}
	}
	for s.Len() > 0 {
		s.Pass()
	}
	if _, _, ok := s.Range(0, true); ok {
		t.Error("an empty sequence has nothing to ack")
	}
}

// What is steady allocates nothing.
func TestSequenceAllocates(t *testing.T) {
	var s endpoint.Sequence[[4]uint64]
	s.Reset()
	for range 100 {
		s.Push()
	}
	if n := testing.AllocsPerRun(1000, func() { s.Push()[0] = 1; s.Pass() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Fit gives back what a burst has taken, and keeps what is there.
func TestSequenceFit(t *testing.T) {
	var s endpoint.Sequence[uint64]
	s.Reset()
	for range 5000 {
		*s.Push() = s.Next()
	}
	for s.Len() > 100 {
		s.Pass()
	}
	for _, row := range []struct{ want, cap int }{{9000, 8192}, {1000, 1024}, {100, 128}, {0, 128}} {
		if s.Fit(row.want); s.Cap() != row.cap || s.Len() != 100 {
			t.Errorf("Fit(%d): %d of %d, want 100 of %d", row.want, s.Len(), s.Cap(), row.cap)
		}
	}
	for n := s.Base(); n < s.Next(); n++ {
		if *s.At(n) != n+1 {
			t.Fatalf("%d has %d", n, *s.At(n))
		}
	}
}

// A long ring grows without copying its entries: they stay where they are.
func TestSequenceGrowsInPlace(t *testing.T) {
	var s endpoint.Sequence[[32]uint64]
	s.Reset()
	for s.Cap() < 1024 {
		s.Push()
	}
	where := map[uint64]*[32]uint64{}
	for n := s.Base(); n < s.Next(); n++ {
		where[n] = s.At(n)
	}
	for s.Cap() < 1<<20 {
		s.Push()
	}
	for n, p := range where {
		if s.At(n) != p {
			t.Fatalf("%d was copied", n)
		}
	}
}
