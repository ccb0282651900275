package client

import (
	"math/rand/v2"
	"testing"

	"zamqp/amqpproto"
)

// TestWindowAgainstModel settles tags at random, and keeps a model of the broker, which holds
// the messages that it has delivered and that were not settled yet. The test is internal,
// because the window has no public methods.
func TestWindowAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var w window
		w.reset()
		held := map[uint64]bool{}  // by the broker
		acked := map[uint64]bool{} // what we asked for
		gone := map[uint64]bool{}  // rejected
		var open []uint64
		last := uint64(0)
		var out []byte
		for range 200 {
			switch rnd.IntN(5) {
			case 0, 1:
				last++
				if !w.take(last) {
					t.Fatalf("seed %d: tag %d was not taken", seed, last)
				}
				held[last] = true
				open = append(open, last)
				if w.take(last) || w.take(last+2) || w.take(0) {
					t.Fatalf("seed %d: a wrong tag was taken", seed)
				}
			case 2, 3:
				if len(open) == 0 {
					continue
				}
				i := rnd.IntN(min(len(open), 1+rnd.IntN(8)))
				tag := open[i]
				open = append(open[:i], open[i+1:]...)
				if rnd.IntN(4) == 0 {
					if !w.settle(tag, tagFinal) {
						t.Fatalf("seed %d: %d", seed, tag)
					}
					out = amqpproto.AppendBasicReject(out, 1, tag, true)
					gone[tag] = true
				} else {
					if !w.settle(tag, tagAcked) {
						t.Fatalf("seed %d: %d", seed, tag)
					}
					acked[tag] = true
				}
				if w.settle(tag, tagAcked) || w.settle(tag, tagFinal) || w.settle(last+1, tagAcked) || w.settle(0, tagFinal) {
					t.Fatalf("seed %d: settled twice", seed)
				}
			case 4:
				out, _ = w.flush(out, 1)
				brokerHears(t, out, held, acked, gone)
				out = out[:0]
				for tag := range held {
					if acked[tag] || gone[tag] {
						t.Fatalf("seed %d: the broker was not told of %d", seed, tag)
					}
				}
			}
			if w.outstanding != len(open) {
				t.Fatalf("seed %d: %d outstanding, want %d", seed, w.outstanding, len(open))
			}
		}
		if w.tags.Len() > int(last) || w.tags.Cap() > 512 {
			t.Fatalf("seed %d: ring of %d for %d tags", seed, w.tags.Cap(), last)
		}
	}
}

// brokerHears applies frames as RabbitMQ does: a tag that is not held is an
// error, and a multiple ack must name one that is.
func brokerHears(t *testing.T, out []byte, held, acked, gone map[uint64]bool) {
	t.Helper()
	multiples := 0
	for len(out) > 0 {
		f, n, err := amqpproto.CutFrame(out, 0)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		out = out[n:]
		m, err := amqpproto.DecodeMethod(f.Payload)
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *amqpproto.BasicAck:
			if !held[m.DeliveryTag] || !acked[m.DeliveryTag] {
				t.Fatalf("unknown delivery tag %d", m.DeliveryTag)
			}
			delete(held, m.DeliveryTag)
			if !m.Multiple {
				continue
			}
			if multiples++; multiples > 1 {
				t.Fatal("two multiple acks in one flush")
			}
			for tag := range held {
				if tag < m.DeliveryTag {
					if !acked[tag] {
						t.Fatalf("multiple ack %d takes %d with it", m.DeliveryTag, tag)
					}
					delete(held, tag)
				}
			}
		case *amqpproto.BasicReject:
			if !held[m.DeliveryTag] || !gone[m.DeliveryTag] {
				t.Fatalf("unknown delivery tag %d", m.DeliveryTag)
			}
			delete(held, m.DeliveryTag)
		}
	}
}

func TestWaitingKeepsOrderPerProducer(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var w waiting
		var want []parked
		producers := []*Producer{{}, {}, {}}
		for n := range 3000 {
			switch rnd.IntN(10) {
			case 0:
				left := rnd.IntN(50)
				p := producers[rnd.IntN(3)]
				var got []int
				seen := 0
				w.remove(func(x *parked) (out, stop bool) {
					if seen++; seen > left {
						return false, true
					}
					if x.producer != p {
						got = append(got, x.size)
					}
					return x.producer != p, false
				})
				var kept []parked
				for i, x := range want {
					if i < left && x.producer != p {
						if got[0] != x.size {
							t.Fatalf("seed %d: %d left, want %d", seed, got[0], x.size)
						}
						got = got[1:]
						continue
					}
					kept = append(kept, x)
				}
				want = kept
			case 1:
				if w.stamp(int64(n)) != (len(want) > 0 && want[len(want)-1].deadline == 0) {
					t.Fatalf("seed %d: stamp is wrong", seed)
				}
				for i := range want {
					if want[i].deadline == 0 {
						want[i].deadline = int64(n)
					}
				}
			default:
				p := parked{producer: producers[rnd.IntN(3)], size: n}
				w.push(p)
				want = append(want, p)
			}
			if w.len() != len(want) {
				t.Fatalf("seed %d: %d, want %d", seed, w.len(), len(want))
			}
		}
		for i, x := range w.list[w.head:] {
			if x.size != want[i].size || x.deadline != want[i].deadline {
				t.Fatalf("seed %d: %v, want %v", seed, x, want[i])
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	b := backoff{min: 1e9, max: 60e9}
	for i, ceiling := range []int64{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9} {
		low, high := int64(1)<<62, int64(0)
		for range 500 {
			c := b
			d := int64(c.next(rnd, 0))
			low, high = min(low, d), max(high, d)
		}
		if low <= 0 || low > ceiling/20 || high > ceiling || high < ceiling/20*19 {
			t.Fatalf("try %d: %d to %d, want 0 to %d", i, low, high, ceiling)
		}
		b.next(rnd, 0)
	}
	b.up(100e9)
	if b.next(rnd, 109e9); b.attempts < 8 {
		t.Fatal("reset before it was stable")
	}
	b.up(200e9)
	if b.next(rnd, 210e9); b.attempts != 1 {
		t.Fatal("not reset when it was stable")
	}
	for range 300 {
		b.next(rnd, 0)
	}
}

func TestDeadlineStartsAtTheNextTick(t *testing.T) {
	var d deadline
	var next int64
	if d.due(5, &next) || next != 0 {
		t.Fatal("due without being set")
	}
	d.set(10)
	if d.due(100, &next) || next != 110 || d.due(109, &next) || !d.due(110, &next) || d.due(120, &next) {
		t.Fatal("wrong")
	}
}

// TestWindowPassesInSlices: a message is settled after a million later ones. No flush and no
// delivery passes over more than so many tags, and each ack is sent once.
func TestWindowPassesInSlices(t *testing.T) {
	const n = 1_000_000
	var w window
	w.reset()
	held, acked := map[uint64]bool{}, map[uint64]bool{}
	var out []byte
	take := func(tag uint64) {
		t.Helper()
		if !w.take(tag) {
			t.Fatalf("%d was not taken", tag)
		}
		held[tag] = true
	}
	settle := func(tag uint64) {
		t.Helper()
		if !w.settle(tag, tagAcked) {
			t.Fatalf("%d was not settled", tag)
		}
		acked[tag] = true
	}
	flush := func() {
		t.Helper()
		out, _ = w.flush(out[:0], 1)
		brokerHears(t, out, held, acked, nil)
	}
	take(1)
	for tag := uint64(2); tag <= n; tag++ {
		take(tag)
		settle(tag)
		if tag%1000 == 0 {
			flush()
		}
	}
	settle(1)
	flushes := 0
	for tag := uint64(n + 1); w.tags.Len() > 1; tag++ {
		before := w.tags.Base()
		if flush(); w.tags.Base()-before > windowPass {
			t.Fatalf("one flush passed over %d tags", w.tags.Base()-before)
		}
		if flushes++; flushes > n/windowPass+2 {
			t.Fatalf("%d tags are left after %d flushes", w.tags.Len(), flushes)
		}
		before = w.tags.Base()
		if take(tag); w.tags.Base()-before > windowPass {
			t.Fatalf("one delivery passed over %d tags", w.tags.Base()-before)
		}
		settle(tag)
	}
	flush()
	if len(held) > 0 || w.outstanding != 0 {
		t.Errorf("the broker holds %d still; %d are outstanding", len(held), w.outstanding)
	}
}
