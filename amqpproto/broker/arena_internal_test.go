package broker

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"zamqp/amqpproto/broker/arena"
)

// TestArena adds, removes and compacts at random, and checks that each message still has its
// octets.
func TestArena(t *testing.T) {
	b := newBench(t)
	rng := rand.New(rand.NewPCG(1, 2))
	type kept struct {
		m    *message
		body []byte
	}
	var all []kept
	check := func(k kept) {
		t.Helper()
		p := b.s.view(k.m)
		if string(p.exchange) != "x" || string(p.key) != "key" || !bytes.Equal(p.body, k.body) {
			t.Fatalf("message %d has %q %q and %d octets, not %d", k.m.id, p.exchange, p.key, len(p.body), len(k.body))
		}
	}
	for round := range 40_000 {
		switch {
		case len(all) > 0 && rng.IntN(100) < 48+round/10_000:
			i := rng.IntN(len(all))
			check(all[i])
			b.s.release(all[i].m)
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
		default:
			n := rng.IntN(1000)
			if rng.IntN(500) == 0 {
				n = rng.IntN(3 * arena.ChunkSize)
			}
			body := bytes.Repeat([]byte{byte(round)}, n)
			all = append(all, kept{b.s.newMessage(&publishing{exchange: []byte("x"), key: []byte("key"), body: body}), body})
		}
		if rng.IntN(50) == 0 {
			b.s.compact()
		}
	}
	for _, k := range all {
		check(k)
		b.s.release(k.m)
	}
	if b.s.arena.Live() != 0 || b.s.memory != 0 {
		t.Errorf("%d octets live, %d counted, and nobody there", b.s.arena.Live(), b.s.memory)
	}
	if b.s.arena.Size() > 5*arena.ChunkSize {
		t.Errorf("an empty arena keeps %d octets", b.s.arena.Size())
	}
}

// TestArenaSurvivors keeps one message of a thousand: the others' memory must be given back.
func TestArenaSurvivors(t *testing.T) {
	b := newBench(t)
	var kept []*message
	for i := range 200_000 {
		m := b.s.newMessage(&publishing{body: fmt.Appendf(nil, "%0200d", i)})
		if i%1000 == 0 {
			kept = append(kept, m)
		} else {
			b.s.release(m)
		}
		if i%5000 == 0 {
			b.tick()
		}
		if b.s.arena.Size() > 32<<20 {
			t.Fatalf("%d octets for %d messages", b.s.arena.Size(), len(kept))
		}
	}
	for range 100 {
		b.tick()
	}
	if b.s.arena.Wasteful() {
		t.Errorf("%d octets of chunks for %d of messages", b.s.arena.Size(), b.s.arena.Live())
	}
	if !b.clock.wake.IsZero() {
		t.Error("it wants to be woken with nothing to do")
	}
	for i, m := range kept {
		if got, want := string(b.s.body(m)), fmt.Sprintf("%0200d", i*1000); got != want {
			t.Fatalf("message %d: %s", i, got)
		}
	}
}

// TestSlabsGiveBack: the memory of a burst of messages is given back.
func TestSlabsGiveBack(t *testing.T) {
	taken := 0
	b := newBench(t)
	b.s.slabs.allocate = func(n int) []byte { taken++; return make([]byte, n) }
	b.s.slabs.give = func([]byte) { taken-- }
	for range 3 {
		var all []*message
		for range 5 * slabMessages {
			all = append(all, b.s.newMessage(&publishing{}))
		}
		if taken != 5 {
			t.Fatalf("%d slabs for five", taken)
		}
		for _, m := range all {
			b.s.release(m)
		}
		if taken > 1 {
			t.Fatalf("%d slabs are kept for nobody", taken)
		}
	}
}
