package backlog_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"zamqp/amqpproto/broker/backlog"
)

type placed struct {
	lane int
	cell backlog.Cell
}

// TestAgainstASortedList adds, takes and puts back at random.
func TestAgainstASortedList(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var b backlog.Backlog
		var spare backlog.Spare
		b.Init(1 + int(seed)%3*100)
		lanes := 1 + int(seed)%3*100
		var want, taken []placed // want is in the order of Pop
		order := uint64(0)
		for range 5000 {
			switch op := rng.IntN(5); {
			case op < 2:
				order++
				p := placed{rng.IntN(lanes), backlog.Cell{ID: rng.Uint32(), Order: order}}
				b.Append(p.lane, p.cell, &spare)
				want = insert(want, p)
			case op < 4 && len(want) > 0:
				if first := *b.First(); first != want[0].cell || b.Top() != want[0].lane {
					t.Fatalf("seed %d: first is %v in lane %d, want %v", seed, first, b.Top(), want[0])
				}
				if got := b.Pop(&spare); got != want[0].cell {
					t.Fatalf("seed %d: popped %v, want %v", seed, got, want[0])
				}
				taken, want = append(taken, want[0]), want[1:]
			case op == 4 && len(taken) > 0:
				i := rng.IntN(len(taken))
				b.Put(taken[i].lane, taken[i].cell)
				want = insert(want, taken[i])
				taken = slices.Delete(taken, i, i+1)
			}
			if b.Len() != len(want) {
				t.Fatalf("seed %d: %d cells, want %d", seed, b.Len(), len(want))
			}
		}
		seen := map[backlog.Cell]bool{}
		b.Each(func(c backlog.Cell) { seen[c] = true })
		all := b.Take()
		if len(seen) != len(want) || all.Len() != len(want) || b.Len() != 0 {
			t.Fatalf("seed %d: %d cells seen, %d taken, %d left; want %d", seed, len(seen), all.Len(), b.Len(), len(want))
		}
	}
}

// insert puts p to its place: behind higher lanes, and behind lower orders of its own.
func insert(list []placed, p placed) []placed {
	i, _ := slices.BinarySearchFunc(list, p, func(a, b placed) int {
		if a.lane != b.lane {
			return b.lane - a.lane
		}
		return int(int64(a.cell.Order) - int64(b.cell.Order))
	})
	return slices.Insert(list, i, p)
}
