package amqpproto

import (
	"strings"
	"unsafe"
)

// A Collector puts a large body together whose octets come in parts. Its buffer
// doubles; the octets of the smaller one follow into the larger one little by
// little, two for each that comes, so that no part costs more than three times its
// length. The memory that is touched is not more than twice what has come.
//
// The zero value is idle.
type Collector struct {
	body  []byte // what has come is in it, but for what is still in old
	size  int    // of the body, 0 = unknown
	old   []byte // the smaller buffer; body[moved:len(old)] is there
	moved int
	busy  bool
}

// Begin begins with what has come of a body, which is copied. size is its length
// if that is known, else 0.
func (c *Collector) Begin(head []byte, size int) {
	*c = Collector{size: size, busy: true}
	c.body = append(MakeDirty(c.first(2*max(len(head), 1))), head...)
}

// first is the capacity to begin with, of at least half of least: one that
// doubles to the size exactly. At the last doubling what is still to come is as
// much as what has to follow.
func (c *Collector) first(least int) int {
	if c.size == 0 {
		return least
	}
	n := c.size
	for n > least {
		n = (n + 1) / 2
	}
	return n
}

// Busy says whether a body is being collected.
func (c *Collector) Busy() bool { return c.busy }

// Held is how many octets of memory it takes, without what has not been touched.
func (c *Collector) Held() int {
	if c.old == nil {
		return len(c.body)
	}
	return len(c.body) + c.moved
}

// Add takes a part of the body.
func (c *Collector) Add(part []byte) {
	for len(part) > 0 {
		if len(c.body) == cap(c.body) {
			c.grow()
		}
		n := min(len(part), cap(c.body)-len(c.body))
		c.body = append(c.body, part[:n]...)
		c.follow(2 * n)
		part = part[n:]
	}
}

// grow takes a larger buffer. All has followed into the one that is full.
func (c *Collector) grow() {
	c.follow(len(c.old))
	n := 2 * cap(c.body)
	if c.size > 0 {
		n = min(n, max(c.size, len(c.body)+1))
	}
	c.old, c.moved = c.body, 0
	c.body = MakeDirty(n)[:len(c.old)]
}

// follow copies up to n octets from the smaller buffer to the larger one.
func (c *Collector) follow(n int) {
	if c.old == nil {
		return
	}
	n = min(n, len(c.old)-c.moved)
	copy(c.body[c.moved:], c.old[c.moved:c.moved+n])
	if c.moved += n; c.moved == len(c.old) {
		c.old = nil
	}
}

// Settle copies up to n octets of what has not followed; false says that there is
// more. It is for a body whose end came unannounced.
func (c *Collector) Settle(n int) (done bool) {
	c.follow(n)
	return c.old == nil
}

// Take ends the body and returns it: the caller's alone.
func (c *Collector) Take() []byte {
	c.follow(len(c.old))
	body := c.body[:len(c.body):len(c.body)]
	*c = Collector{}
	return body
}

// MakeDirty returns an empty slice with room for n octets, which are not cleared: to
// clear a hundred megabytes takes as long as to copy them. Nobody is to see them
// before they are written.
func MakeDirty(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	s := b.String() // the only reference to it, so that what is written there is no string
	return unsafe.Slice(unsafe.StringData(s), b.Cap())[:0:n]
}
