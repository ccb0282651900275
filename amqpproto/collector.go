package amqpproto

import (
	"strings"
	"unsafe"
)

// A Collector assembles a large body whose octets come in parts. Its buffer doubles
// when it is full. The old octets are then copied to the larger buffer bit by bit, two
// for each new octet, so that no part costs more than three times its length. The
// memory that is written to is at most twice what has come.
//
// The zero value is idle.
type Collector struct {
	body  []byte // what has come, except for the part that is still in old
	size  int    // length of the body, 0 = unknown
	old   []byte // the smaller buffer; body[moved:len(old)] is there
	moved int
	busy  bool
}

// Begin starts with a copy of the part of a body that has come. size is the length of the
// body if it is known, else 0.
func (c *Collector) Begin(head []byte, size int) {
	*c = Collector{size: size, busy: true}
	c.body = append(MakeDirty(c.first(2*max(len(head), 1))), head...)
}

// first returns the capacity to start with, at least half of least. Doubling it leads exactly
// to size. Then, at the last doubling, as many octets are still to come as have to be copied.
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

// Busy reports whether a body is being collected.
func (c *Collector) Busy() bool { return c.busy }

// Held returns how many octets of memory it uses, without those not written to yet.
func (c *Collector) Held() int {
	if c.old == nil {
		return len(c.body)
	}
	return len(c.body) + c.moved
}

// Add adds a part of the body.
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

// grow allocates a larger buffer. Everything has been copied to the full one before.
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

// Settle copies up to n octets that are still in the smaller buffer. It returns false if
// there are more. It is for a body whose length was not known before.
func (c *Collector) Settle(n int) (done bool) {
	c.follow(n)
	return c.old == nil
}

// Take ends the body and returns it. The caller owns it.
func (c *Collector) Take() []byte {
	c.follow(len(c.old))
	body := c.body[:len(c.body):len(c.body)]
	*c = Collector{}
	return body
}

// MakeDirty returns an empty slice with room for n octets that are not cleared, because
// clearing a hundred megabytes takes as long as copying them. They must not be read
// before they are written.
func MakeDirty(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	s := b.String() // the only reference to it, so that what is written there is no string
	return unsafe.Slice(unsafe.StringData(s), b.Cap())[:0:n]
}
