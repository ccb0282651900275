package endpoint_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// framesOf is what the same appends make without an Output.
type framesOf struct {
	out  endpoint.Output
	want []byte // all that was appended, ever
	got  []byte // all that has left
	done int    // lent bodies that were given back
	lent int
}

func (f *framesOf) small(rnd *rand.Rand) {
	body := octets(rnd, rnd.IntN(3000))
	f.out.Room()
	f.out.Grow(8, body, amqpproto.FrameMin)
	f.out.Body(1, body, amqpproto.FrameMin)
	f.want = amqpproto.AppendBody(f.want, 1, body, amqpproto.FrameMin)
}

func (f *framesOf) lend(rnd *rand.Rand, frameMax uint32) {
	body := octets(rnd, 1+rnd.IntN(400_000))
	f.lent++
	f.out.Lend(2, body, frameMax, func() { f.done++ })
	if frameMax == 0 {
		frameMax = 256 << 10 // no frame is longer than a piece
	}
	f.want = amqpproto.AppendBody(f.want, 2, body, frameMax)
}

func (f *framesOf) leave(n int) {
	b := f.out.Pending()
	n = min(n, len(b))
	f.got = append(f.got, b[:n]...)
	f.out.Left(n)
}

// octets are n octets, other ones each time.
func octets(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += copy(b[i:], noise[rnd.IntN(len(noise)):]) {
	}
	return b
}

// noise is octets without a period.
var noise = func() []byte {
	rnd := rand.New(rand.NewPCG(1, 5))
	b := make([]byte, 0, 64<<10)
	for len(b) < cap(b) {
		b = binary.LittleEndian.AppendUint64(b, rnd.Uint64())
	}
	return b
}()

// However an output is emptied, the octets are those that were appended, in their
// order, and what it says of their number is true.
func TestOutputKeepsTheOrder(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		f := &framesOf{}
		for range 300 {
			switch k := rnd.IntN(20); {
			case k < 8:
				f.small(rnd)
			case k == 8:
				f.lend(rnd, [...]uint32{0, 4096, 131072, 1 << 20}[rnd.IntN(3)])
			case k == 9:
				f.out.Rest()
			default:
				f.leave(1 + rnd.IntN(100_000))
			}
			if f.out.Len() != len(f.want)-len(f.got) || f.out.Sent() != uint64(len(f.got)) || f.out.End() != uint64(len(f.want)) {
				t.Fatalf("seed %d: %d pending, %d sent; want %d and %d", seed, f.out.Len(), f.out.Sent(), len(f.want)-len(f.got), len(f.got))
			}
		}
		for f.out.Len() > 0 {
			f.leave(1 << 20)
		}
		if !bytes.Equal(f.got, f.want) {
			t.Fatalf("seed %d: other octets left than were appended", seed)
		}
		if f.done != f.lent {
			t.Fatalf("seed %d: %d of %d lent bodies were given back", seed, f.done, f.lent)
		}
		if f.out.Rest(); cap(f.out.Buf) > endpoint.OutputIdle {
			t.Fatalf("seed %d: an output at rest keeps %d octets", seed, cap(f.out.Buf))
		}
	}
}

// What is lent is given back when the connection is over, and counts as pending
// before, but hardly as memory.
func TestOutputDropsWhatIsLent(t *testing.T) {
	var out endpoint.Output
	given := 0
	body := make([]byte, 3<<20)
	for range 4 {
		out.Body(1, []byte("between"), 0)
		out.Lend(1, body, 131072, func() { given++ })
	}
	if out.Len() < 4*len(body) {
		t.Errorf("%d octets pending", out.Len())
	}
	out.Left(len(out.Pending()))
	out.Left(len(out.Pending()) / 2)
	if out.Held() > 256<<10 {
		t.Errorf("%d octets are held, more than one piece", out.Held())
	}
	if given != 0 {
		t.Errorf("%d bodies were given back too early", given)
	}
	if out.Drop(); given != 4 || out.Len() != 0 || len(out.Pending()) != 0 {
		t.Errorf("%d bodies were given back, %d octets pending", given, out.Len())
	}
}

// A burst does not hold its memory for ever, and what is steady allocates nothing.
func TestOutputAfterABurst(t *testing.T) {
	var out endpoint.Output
	turn := func(n int) {
		out.Room()
		out.Body(1, make([]byte, n), 131072)
		out.Left(out.Len())
	}
	turn(4 << 20)
	if cap(out.Buf) < 4<<20 {
		t.Fatalf("the burst had %d octets", cap(out.Buf))
	}
	for range 100 {
		turn(100)
	}
	if cap(out.Buf) > 1<<20 {
		t.Errorf("%d octets are kept of a burst long ago", cap(out.Buf))
	}
	body := make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() {
		out.Room()
		out.Grow(8, body, 131072)
		out.Body(1, body, 131072)
		out.Left(out.Len())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
