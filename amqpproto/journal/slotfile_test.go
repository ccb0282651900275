package journal_test

import (
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"

	"zamqp/amqpproto/journal"
	"zamqp/tests/kit/crashfs"
)

// openSlotFile opens the slot file of the journal in fs and returns what is on it, by id.
func openSlotFile(t *testing.T, fs *crashfs.FS) (*journal.SlotFile, map[uint64][2]uint64, bool) {
	t.Helper()
	j, _, err := journal.Open("d", journal.Options{FS: fs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Sync(); err != nil { // nobody else works on the disk from here on
		t.Fatal(err)
	}
	on := map[uint64][2]uint64{}
	b, whole, err := j.OpenSlotFile(func(slot uint32, id, value uint64) bool {
		on[id] = [2]uint64{uint64(slot), value}
		return id != 13 // of which nobody knows any more
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, on, whole
}

func TestSlotFileOutlivesAKill(t *testing.T) {
	fs := crashfs.New()
	rng := rand.New(rand.NewPCG(1, 1))
	b, _, whole := openSlotFile(t, fs)
	if whole {
		t.Error("there was no slot file")
	}
	want := map[uint64][2]uint64{}
	next := uint64(14)
	for round := range 20 {
		for range rng.IntN(1000) {
			switch rng.IntN(3) {
			case 0:
				for id, at := range want {
					b.Free(uint32(at[0]), 1)
					delete(want, id)
					break
				}
			case 1:
				for id, at := range want {
					at[1]++
					b.Set(uint32(at[0]), at[1])
					want[id] = at
					break
				}
			}
			next++
			want[next] = [2]uint64{uint64(b.Take(next, next*3)), next * 3}
		}
		if rng.IntN(2) == 0 {
			b.Reuse(1)
		}
		if err := b.Write(); err != nil || b.Dirty() {
			t.Fatal(err)
		}
		fs = fs.Kill()
		var on map[uint64][2]uint64
		b, on, whole = openSlotFile(t, fs)
		if !whole {
			t.Fatalf("round %d: not whole after a kill", round)
		}
		for id := range on {
			if _, ok := want[id]; !ok {
				// Freed, and not overwritten: the owner, who knows that it is gone,
				// frees it again.
				b.Free(uint32(on[id][0]), 1)
				delete(on, id)
			}
		}
		if !maps.Equal(on, want) {
			t.Fatalf("round %d: %d slots, want %d", round, len(on), len(want))
		}
	}
	rng2 := rand.New(rand.NewPCG(2, 2))
	if _, _, whole := openSlotFile(t, fs.Crash(rng2)); whole {
		t.Error("whole after a power loss")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, on, whole := openSlotFile(t, fs.Crash(rng2)); !whole || len(on) < len(want) {
		t.Error("not whole after Close and a power loss")
	}
}

func TestSlotFileThatFailed(t *testing.T) {
	fs := crashfs.New()
	b, _, _ := openSlotFile(t, fs)
	b.Take(1, 1)
	fs.FailAt, fs.Fail = fs.Steps+1, syscall.ENOSPC
	if err := b.Write(); err == nil {
		t.Error("no error")
	}
	b.Take(2, 1)
	if err := b.Write(); err != nil {
		t.Error("told twice:", err)
	}
	fs.FailAt = 0
	b.Take(3, 1)
	if err := b.Write(); err != nil { // has not been told to try again
		t.Error(err)
	}
	if _, _, whole := openSlotFile(t, fs.Kill()); whole {
		t.Error("whole, though a write failed")
	}
	b.Again()
	if err := b.Write(); err != nil || b.Dirty() {
		t.Error(err)
	}
	if _, slots, whole := openSlotFile(t, fs.Kill()); !whole || len(slots) != 3 {
		t.Errorf("whole %v, with %v", whole, slots)
	}
}

func TestSlotFileDoesNotAllocate(t *testing.T) {
	b, _, _ := openSlotFile(t, crashfs.New())
	turn := func() {
		var slots [100]uint32
		for i := range slots {
			slots[i] = b.Take(uint64(i+1), 0)
			b.Set(slots[i], 2)
		}
		for _, s := range slots {
			b.Free(s, 1)
		}
		b.Reuse(1)
	}
	turn()
	if n := testing.AllocsPerRun(100, func() { turn(); _ = b.Write() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
