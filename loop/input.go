package loop

import "math/bits"

// headroom is how much held input may be copied to the front of the shared read buffer, so that its
// own buffer is freed. The usual rest is the beginning of one frame, and copying it is cheaper than
// a buffer for each connection.
const headroom = 4 << 10

const (
	inputMinBits = 9  // 512 B
	inputMaxBits = 20 // 1 MiB; larger buffers are not pooled
	// inputIdleMax limits what the pool holds in total, in bytes.
	inputIdleMax = 8 << 20
)

// inputBuffer is input that its peer did not take yet: b[r:w]. A connection has one only while
// there is any.
type inputBuffer struct {
	b    []byte
	r, w int
	next *inputBuffer // in the pool
}

// inputPool lends buffers by powers of two.
type inputPool struct {
	free [inputMaxBits - inputMinBits + 1]*inputBuffer
	idle int // bytes
	lent int // bytes
}

func class(n int) int { return max(bits.Len(uint(n-1)), inputMinBits) - inputMinBits }

// get returns an empty buffer for at least n bytes.
func (p *inputPool) get(n int) *inputBuffer {
	k := class(n)
	if k >= len(p.free) {
		p.lent += n
		return &inputBuffer{b: make([]byte, n)}
	}
	kb := p.free[k]
	if kb == nil {
		kb = &inputBuffer{b: make([]byte, 1<<(k+inputMinBits))}
	} else {
		p.free[k] = kb.next
		kb.next = nil
		p.idle -= len(kb.b)
	}
	p.lent += len(kb.b)
	return kb
}

func (p *inputPool) put(kb *inputBuffer) {
	p.lent -= len(kb.b)
	k := class(len(kb.b))
	if k >= len(p.free) || p.idle+len(kb.b) > inputIdleMax {
		return
	}
	kb.r, kb.w = 0, 0
	kb.next = p.free[k]
	p.free[k] = kb
	p.idle += len(kb.b)
}
