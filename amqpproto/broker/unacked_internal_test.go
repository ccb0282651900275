package broker

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUnackedAgainstModel: random deliveries and acks give what a sorted list of tags gives.
func TestUnackedAgainstModel(t *testing.T) {
	q := &queue{}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var l unacked
		var tags []uint64
		last := uint64(0)
		grow := 1 + rng.IntN(4)
		for range 5000 {
			switch at := 0; {
			case len(tags) == 0 || rng.IntN(5) < grow:
				last += 1 + uint64(rng.IntN(8)/7) // some deliveries need no ack
				l.push(delivery{tag: last, queue: q})
				tags = append(tags, last)
			case rng.IntN(200) == 0: // all up to a tag
				at = rng.IntN(len(tags))
				if n := l.upTo(tags[at]); n < at+1 {
					t.Fatalf("seed %d: at most %d are settled, but %d are", seed, n, at+1)
				}
				checkTaken(t, &l, tags[:at+1], tags[at], true)
				tags = slices.Delete(tags, 0, at+1)
			case rng.IntN(20) == 0:
				if d := l.shift(); d.tag != tags[0] {
					t.Fatalf("seed %d: %d is first, not %d", seed, d.tag, tags[0])
				}
				tags = slices.Delete(tags, 0, 1)
			default:
				at = rng.IntN(len(tags))
				checkTaken(t, &l, tags[at:at+1], tags[at], false)
				if _, _, ok := l.find(tags[at]); ok {
					t.Fatalf("seed %d: %d was settled and is still there", seed, tags[at])
				}
				tags = slices.Delete(tags, at, at+1)
			}
			if l.len() != len(tags) {
				t.Fatalf("seed %d: %d deliveries, not %d", seed, l.len(), len(tags))
			}
			if _, _, ok := l.find(last + 1); ok {
				t.Fatalf("seed %d: a tag is found that was never given", seed)
			}
			if tag := last / 2; tag > 0 && !slices.Contains(tags, tag) {
				if _, ok := l.take(nil, tag, rng.IntN(2) == 0); ok {
					t.Fatalf("seed %d: %d was settled twice", seed, tag)
				}
			}
			places := 0
			for _, b := range l.blocks {
				places += cap(b.places)
			}
			if most := 4*len(tags) + 2*unackedBlockMax; places > most {
				t.Fatalf("seed %d: %d places for %d deliveries", seed, places, len(tags))
			}
		}
		checkTaken(t, &l, tags, 0, true)
	}
}

func checkTaken(t *testing.T, l *unacked, want []uint64, tag uint64, multiple bool) {
	t.Helper()
	ds, ok := l.take(nil, tag, multiple)
	if !ok || len(ds) != len(want) {
		t.Fatalf("ack of %d took %d deliveries, not %d", tag, len(ds), len(want))
	}
	for i, d := range ds {
		if d.tag != want[i] || d.queue == nil {
			t.Fatalf("ack of %d took %d, not %d", tag, d.tag, want[i])
		}
	}
}

// TestMillionUnackedMoveFewAtATime: with a million unacked deliveries, no ack and no delivery
// moves more than two blocks of them.
func TestMillionUnackedMoveFewAtATime(t *testing.T) {
	const n = 1_000_000
	q := &queue{}
	for name, kept := range map[string]int{"every second stays": 2, "every fifth stays": 5, "every thousandth stays": 1000} {
		var l unacked
		before, most := 0, 0
		look := func() {
			most = max(most, l.moved-before)
			before = l.moved
		}
		var ds []delivery
		for tag := uint64(1); tag <= n; tag++ {
			l.push(delivery{tag: tag, queue: q})
			look()
		}
		left := n
		for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
			if i%kept == 0 {
				continue
			}
			var ok bool
			if ds, ok = l.take(ds[:0], uint64(i+1), false); !ok {
				t.Fatalf("%s: %d is not there", name, i+1)
			}
			left--
			look()
		}
		for tag := uint64(n + 1); tag <= n+n/2; tag++ { // when the old list had no room, it moved all
			l.push(delivery{tag: tag, queue: q})
			look()
		}
		if (most == 0) != (kept == 2) || most > 2*unackedBlockMax {
			t.Errorf("%s: one operation moved %d deliveries", name, most)
		}
		if left += n / 2; l.len() != left {
			t.Errorf("%s: %d are left, not %d", name, l.len(), left)
		}
	}
}

// BenchmarkUnacked is a delivery and its ack, with so many others unacked.
func BenchmarkUnacked(b *testing.B) {
	q := &queue{}
	for name, window := range map[string]uint64{"1": 1, "100": 100, "1000": 1000, "100000": 100_000} {
		for order, ack := range map[string]func(l *unacked, last uint64, ds []delivery) []delivery{
			"in order": func(l *unacked, last uint64, ds []delivery) []delivery {
				ds, _ = l.take(ds, last-window+1, false)
				return ds
			},
			"out of order": func(l *unacked, last uint64, ds []delivery) []delivery {
				if window > 2 && last%2 == 0 {
					ds, _ = l.take(ds, last-window/2, false)
				} else {
					ds = append(ds, l.shift())
				}
				return ds
			},
		} {
			b.Run(name+" "+order, func(b *testing.B) {
				b.ReportAllocs()
				var l unacked
				var ds []delivery
				tag := uint64(0)
				for ; tag < window-1; tag++ {
					l.push(delivery{tag: tag + 1, queue: q})
				}
				for b.Loop() {
					tag++
					l.push(delivery{tag: tag, queue: q})
					ds = ack(&l, tag, ds[:0])
				}
			})
		}
	}
}
