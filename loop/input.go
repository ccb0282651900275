package loop

import "math/bits"

// headroom is how much kept input is copied in front of the shared read buffer, instead of reading behind it in its
// own: the usual rest is the beginning of one frame, and moving it is cheaper than holding a buffer for it.
const headroom = 4 << 10

const (
	keepMinBits = 9  // 512 B
	keepMaxBits = 20 // 1 MiB; larger buffers are not pooled
	// keepIdleMax bounds what the pool holds in all, in bytes.
	keepIdleMax = 8 << 20
)

// keep is input that its peer did not take yet: b[r:w]. A connection has one only while there is any.
type keep struct {
	b    []byte
	r, w int
	next *keep // in the pool
}

// keepPool lends buffers by powers of two.
type keepPool struct {
	free [keepMaxBits - keepMinBits + 1]*keep
	idle int // bytes
	lent int // bytes
}

func class(n int) int { return max(bits.Len(uint(n-1)), keepMinBits) - keepMinBits }

// get returns an empty buffer for at least n bytes.
func (p *keepPool) get(n int) *keep {
	k := class(n)
	if k >= len(p.free) {
		p.lent += n
		return &keep{b: make([]byte, n)}
	}
	kb := p.free[k]
	if kb == nil {
		kb = &keep{b: make([]byte, 1<<(k+keepMinBits))}
	} else {
		p.free[k] = kb.next
		kb.next = nil
		p.idle -= len(kb.b)
	}
	p.lent += len(kb.b)
	return kb
}

func (p *keepPool) put(kb *keep) {
	p.lent -= len(kb.b)
	k := class(len(kb.b))
	if k >= len(p.free) || p.idle+len(kb.b) > keepIdleMax {
		return
	}
	kb.r, kb.w = 0, 0
	kb.next = p.free[k]
	p.free[k] = kb
	p.idle += len(kb.b)
}
