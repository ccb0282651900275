package store

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndexAgainstAModel works at random on an index and on plain maps.
func TestIndexAgainstAModel(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var f index
		queues := map[uint32]map[uint32]uint32{} // by message: queues and deliveries
		var order []uint32                       // of messages
		number := uint64(0)
		for range 20_000 {
			id := uint32(rng.IntN(40)) << (chunkBits - 2) // several chunks
			switch known := queues[id]; {
			case known == nil:
				k := f.of(id)
				*k = stored{}
				known = map[uint32]uint32{}
				most := 5
				if rng.IntN(4) == 0 {
					most = 4 * wideFrom
				}
				for range 1 + rng.IntN(most) {
					q := 1 + uint32(rng.IntN(150))
					if _, twice := known[q]; !twice {
						known[q] = rng.Uint32()
						f.add(id, k, queueRef{queue: q, deliveries: known[q]})
					}
				}
				number++
				f.append(id, k, number, 100)
				queues[id], order = known, append(order, id)
			case rng.IntN(4) == 0:
				number++
				f.move(id, f.of(id), number)
				i := slices.Index(order, id)
				order = append(slices.Delete(order, i, i+1), id)
			default:
				q := 1 + uint32(rng.IntN(150))
				k := f.of(id)
				want, there := known[q]
				if ref := f.find(id, k, q); (ref != nil) != there || there && ref.deliveries != want {
					t.Fatalf("seed %d: find(%d, %d) is %v", seed, id, q, ref)
				}
				dropped, found := f.drop(id, k, q)
				if found != there || dropped.deliveries != want {
					t.Fatalf("seed %d: drop(%d, %d) is %v, %v", seed, id, q, dropped, found)
				}
				if delete(known, q); len(known) == 0 {
					if k.queue != 0 {
						t.Fatalf("seed %d: message %d is left with queue %d", seed, id, k.queue)
					}
					f.remove(id, k, 100)
					delete(queues, id)
					i := slices.Index(order, id)
					order = slices.Delete(order, i, i+1)
				}
			}
			if rng.IntN(50) == 0 {
				checkIndex(t, &f, queues, order)
			}
		}
	}
}

func checkIndex(t *testing.T, f *index, queues map[uint32]map[uint32]uint32, order []uint32) {
	t.Helper()
	var got []uint32
	at := uint64(0)
	for id := f.first; id != 0; id = f.at(id - 1).next {
		k := f.at(id - 1)
		if got = append(got, id-1); k.at <= at {
			t.Fatalf("message %d with record %d comes after record %d", id-1, k.at, at)
		}
		at = k.at
		has := map[uint32]uint32{}
		f.each(k, func(r *queueRef) { has[r.queue] = r.deliveries })
		if !maps.Equal(has, queues[id-1]) {
			t.Fatalf("message %d is in queues %v, want %v", id-1, has, queues[id-1])
		}
	}
	if !slices.Equal(got, order) || f.n != len(order) || f.live != int64(100*len(order)) {
		t.Fatalf("order %v, want %v; %d counted, %d octets", got, order, f.n, f.live)
	}
}

// TestAcksOfAVeryWideMessage: what it costs to take a message out of all its queues
// grows as their number does, whatever the order.
func TestAcksOfAVeryWideMessage(t *testing.T) {
	const queues = 20_000
	for name, at := range map[string]func(i int) uint32{
		"in the order of publishing": func(i int) uint32 { return uint32(i) },
		"in the opposite order":      func(i int) uint32 { return uint32(queues - 1 - i) },
		"crosswise":                  func(i int) uint32 { return uint32(i * 7919 % queues) },
	} {
		var f index
		k := f.of(5)
		*k = stored{}
		for q := range uint32(queues) {
			f.add(5, k, queueRef{queue: q + 1})
		}
		f.append(5, k, 1, 100)
		for i := range queues {
			if f.find(5, k, at(i)+1) == nil {
				t.Fatalf("%s: queue %d is not found", name, at(i)+1)
			}
			if _, found := f.drop(5, k, at(i)+1); !found {
				t.Fatalf("%s: queue %d is not there", name, at(i)+1)
			}
		}
		if k.queue != 0 || k.more != 0 || len(f.wide) != 0 {
			t.Errorf("%s: something is left", name)
		}
		if f.looks > 2*wideFrom {
			t.Errorf("%s: %d nodes were looked at for %d queues", name, f.looks, queues)
		}
	}
}
