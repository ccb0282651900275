package httpdoor

import (
	"net/http"
	"slices"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// bodies counts the octets of request bodies that all connections of a door hold,
// from the first octet of each to the end of its call.
//
// When http.bodies_max is reached, new bodies are refused, and half-read bodies are not read
// further, except one. The oldest half-read body may exceed the limit until its call is over,
// and then the next one may. So half-read bodies cannot wait for each other. The limit is
// exceeded by at most one body and by the octets that had already been read. A body that
// waits too long is refused by the HTTP machine's deadline.
type bodies struct {
	max         int64 // 0 = no bound
	one         int64 // the longest body
	held        int64
	first, last *exchange   // exchanges whose body is being read, the oldest first
	favoured    *exchange   // the body that may exceed the limit
	line        []*exchange // exchanges that wait, in order; those that no longer wait stay in the list until their turn
	waiting     int
	resuming    bool // more continues in the next turn
	refused     uint64
}

// body describes the request body that an exchange holds.
type body struct {
	octets     int64
	progress   int64     // when its last octet came, in Unix nanoseconds
	prev, next *exchange // its neighbours in the list from bodies.first to bodies.last
	reading    bool      // it is in that list
	waits      bool      // it is in bodies.line
}

// bodyStall is how long a body may make no progress while the limit is reached, if
// http.body_rate_min is off.
const bodyStall = time.Minute

// expectBody decides by the head of a request whether its body is to be read. If not, it
// sends the answer, before 100 Continue and before the body, and returns false.
func (x *exchange) expectBody() bool {
	d := x.door
	b := &d.bodies
	switch {
	case !d.server.Admit(x.call):
		x.DropBody()
		x.refuse()
		return false
	case b.max > 0 && b.held >= b.max:
		b.refused++
		d.server.Refuse(x.call, http.StatusServiceUnavailable, tooManyBodies)
		x.refuse()
		b.endStalled(d.server)
		return false
	}
	if b.last == nil {
		b.first = x
	} else {
		b.last.body.next = x
	}
	x.body = body{prev: b.last, reading: true, progress: x.door.server.Now().UnixNano()}
	b.last = x
	return true
}

const tooManyBodies = "too many request bodies at once"

// refuse sends the response of a request that is not dispatched.
func (x *exchange) refuse() {
	c := x.call
	x.call = nil
	p := c.Response()
	x.Answer(p.Status, p.ContentType, p.Lines(), p.Body)
	x.door.server.Discard(c)
	x.door.bodies.release(x)
}

// Refusal words a refusal of the machine itself.
func (x *exchange) Refusal(e *http1.Error, fields []http1.Field) (contentType string, body []byte) {
	c := x.call
	if x.busy {
		c = nil // its answer comes, or has begun
	}
	return x.door.server.Refusal(c, fields, e.Status, e.Reason)
}

// Body adds a piece of the body.
func (x *exchange) Body(p []byte) {
	x.call.AppendBody(p)
	if x.streams {
		return // its room is counted already
	}
	n := int64(len(p))
	x.body.octets += n
	b := &x.door.bodies
	b.held += n
	if b.max > 0 {
		x.body.progress = x.door.server.Now().UnixNano()
		if b.held > b.max {
			b.press(x)
		}
	}
}

// press decides what happens to a body that has grown beyond the limit.
func (b *bodies) press(x *exchange) {
	if b.favoured == nil {
		b.favour()
	}
	switch {
	case x == b.favoured || x.body.waits:
	case b.held > b.max+b.one:
		b.refused++
		x.door.server.Refuse(x.call, http.StatusServiceUnavailable, tooManyBodies)
		x.refuse()
	default:
		x.body.waits = true
		b.waiting++
		b.stand(x)
		x.Hold()
		x.wire.Pause(true)
	}
}

// stand puts a body at the end of the line. If most bodies of the line no longer wait, it
// removes those.
func (b *bodies) stand(x *exchange) {
	if len(b.line) > 64+2*b.waiting {
		b.line = slices.DeleteFunc(b.line, func(x *exchange) bool { return !x.body.waits })
	}
	b.line = append(b.line, x)
}

// favour lets the oldest body exceed the limit.
func (b *bodies) favour() {
	b.favoured = b.first
	b.resume(b.first)
}

// resume continues to read a body.
func (b *bodies) resume(x *exchange) {
	if x == nil || !x.body.waits {
		return
	}
	x.body.waits = false
	b.waiting--
	if !x.gone {
		x.wire.Pause(false)
		x.Go()
	}
}

// read is called when a body is whole.
func (b *bodies) read(x *exchange) {
	if !x.body.reading {
		return
	}
	b.resume(x)
	if x.body.prev != nil {
		x.body.prev.body.next = x.body.next
	} else {
		b.first = x.body.next
	}
	if x.body.next != nil {
		x.body.next.body.prev = x.body.prev
	} else {
		b.last = x.body.prev
	}
	x.body.prev, x.body.next, x.body.reading = nil, nil, false
}

// take counts octets, if there is room for them. Fewer than 0 are given back.
func (b *bodies) take(n int64) bool {
	if n > 0 && b.max > 0 && b.held+n > b.max {
		b.refused++
		return false
	}
	b.held += n
	return true
}

// release subtracts the octets of a request, and lets other bodies continue.
func (b *bodies) release(x *exchange) {
	b.read(x)
	if x.body.octets == 0 && b.favoured != x {
		return
	}
	b.held -= x.body.octets
	x.body.octets = 0
	if b.favoured == x {
		b.favoured = nil
	}
	b.more(x.door.server)
}

// more lets bodies continue that wait, if there is room.
func (b *bodies) more(s *publisher.Server) {
	if b.waiting == 0 {
		b.line = b.line[:0]
		return
	}
	if b.held > b.max {
		if b.favoured == nil {
			b.favour()
		}
		return
	}
	// Each of them may add one read of its socket before it is stopped again.
	const share = 64 << 10
	left := resumeTurnMax
	for room := b.max - b.held; room >= 0 && len(b.line) > 0; left-- {
		if left == 0 {
			b.moreLater(s)
			return
		}
		next := b.line[0]
		b.line[0] = nil
		b.line = b.line[1:]
		if next.body.waits {
			room -= share
			b.resume(next)
		}
	}
}

// resumeTurnMax is how many of the bodies that wait are looked at in a turn.
const resumeTurnMax = 256

// moreLater calls more in the next turn.
func (b *bodies) moreLater(s *publisher.Server) {
	if b.resuming {
		return
	}
	b.resuming = true
	s.InNextTurn(func() {
		b.resuming = false
		b.more(s)
	})
}

// endStalled ends old bodies that make no progress while the limit is reached, so that they
// do not block others for ever.
func (b *bodies) endStalled(s *publisher.Server) {
	x := b.first
	for looked := 0; x != nil && looked < 16; looked++ {
		next := x.body.next
		if c := x.call; c != nil && !x.body.waits && s.Now().UnixNano()-x.body.progress > int64(bodyStall) {
			s.Refuse(c, http.StatusRequestTimeout, "the body stands still, and others need its room")
			x.refuse()
		}
		x = next
	}
}
