package store

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndexAgainstAModel works at random on an index and on plain maps.
func TestIndexAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var f index
		queues := map[uint32]map[uint32]uint32{} // by message: queues and deliveries
		var order []uint32                       // of messages
		number := uint64(0)
		for range 2000 {
			id := uint32(rng.IntN(40)) << (chunkBits - 2) // several chunks
			switch known := queues[id]; {
			case known == nil:
				k := f.of(id)
				*k = stored{}
				known = map[uint32]uint32{}
				for range 1 + rng.IntN(5) {
					q := 1 + uint32(rng.IntN(30))
					if _, twice := known[q]; !twice {
						known[q] = rng.Uint32()
						f.add(k, queueRef{queue: q, deliveries: known[q]})
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
				q := 1 + uint32(rng.IntN(30))
				k := f.of(id)
				want, there := known[q]
				if ref := f.find(k, q); (ref != nil) != there || there && ref.deliveries != want {
					t.Fatalf("seed %d: find(%d, %d) is %v", seed, id, q, ref)
				}
				dropped, found := f.drop(k, q)
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
			checkIndex(t, &f, queues, order)
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
