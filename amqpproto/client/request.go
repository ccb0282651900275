package client

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// Reply gets the outcome of a request: exactly once for each that Request accepted, after
// Request has returned.
//
//	d, nil    the reply; d and its slices are valid until Replied returns, and there
//	          is nothing to settle
//	nil, err  a *ReturnError if no queue took a mandatory request, ErrNacked,
//	          ErrReplyTimeout, a *LostError, ErrClosed, the
//	          *amqpproto.ChannelError for which the broker closed the channel, as
//	          for a request to an exchange that does not exist, or a
//	          *ReplyLostError if it did so for another request
type Reply interface {
	Replied(d *Delivery, err error)
}

// RequestID identifies a request that is under way. An id of one client is used again
// after 2³² requests in the same slot.
type RequestID uint64

// request is a slot of the table of requests, reused.
type request struct {
	reply    Reply // nil = the slot is free
	number   uint32
	timeout  time.Duration
	deadline int64           // 0 until the next Tick
	size     int             // counts against PublishMax
	request  parked          // kept while it waits to be sent or may have to be resent
	copied   copied          // the same for a request that was sent at once
	via      *requestChannel // the channel that it was sent over; nil = it was not sent
	order    uint64          // counts requests in the order of sending
	received bool            // the broker has it for certain
	foreign  bool            // its user id is not that of the login
}

// requests is the table of a client's requests, with those that wait to be sent.
type requests struct {
	client         *Client
	common         *requestChannel // channel for trusted exchanges
	isolated       *requestChannel // channel for requests that may end it
	failing        *requestChannel // channel for exchanges and user ids that the broker has refused
	refused        map[string]bool // these exchanges, on this connection
	foreignRefused bool            // the broker has refused a foreign user id

	slots  []request
	unused []uint32 // free slots
	live   int
	sent   uint64      // counts sent requests
	fresh  []RequestID // those without a deadline
	late   []RequestID // scratch
	expiry int64       // when to look for expired requests

	waiting []RequestID // cannot be sent yet, in order; some may already have an outcome
	left    int         // waiting[:left] was sent
	woken   bool        // some of them may be sent now

	nonce [8]byte // the first part of every correlation id
}

// A correlation id consists of the client's own 8 digits, the number of the request
// in its slot, and the slot.
const (
	correlationSize = 24
	// requestRoom is what reply_to and correlation_id may add to the properties.
	requestRoom = 2*(1+amqpproto.ShortstrMax) + 2
)

// Request publishes a request and calls r with its reply. It sets reply_to and
// correlation_id, even if o.RawProperties has them, and copies all of o. Many requests
// may be under way at once. They use channels of their own, with direct reply-to or,
// with Config.ReplyQueue, a reply queue. p is as with Publish, and may be nil.
//
// A request that cannot be sent yet waits like a publish, and counts towards
// PublishMax until its outcome. timeout starts at the next Tick; when it is over, the
// outcome is ErrReplyTimeout, and a later reply is counted and dropped. If Request
// returns an error (ErrPublishMax, ErrBusy over Config.RequestsMax, ErrClosed, or what
// is wrong with o), nothing was kept and r is not called.
func (c *Client) Request(p *Producer, o *Outgoing, timeout time.Duration, r Reply) (RequestID, error) {
	if c.closing {
		return 0, ErrClosed
	}
	frameMax := c.cfg.FrameMax
	if c.isOpen() {
		frameMax = c.conn.frameMax
	}
	if err := c.check(o, frameMax-requestRoom); err != nil {
		return 0, err
	}
	if p == nil {
		p = &c.noProducer
	} else if p.client != c {
		return 0, fmt.Errorf("amqp connection %q: producer %q belongs to another connection", c.cfg.Name, p.name)
	}
	size := entryCost + len(o.Exchange) + len(o.RoutingKey) + len(o.RawProperties) + requestRoom + o.bodySize()
	t := &c.requests
	switch {
	case size > c.cfg.PublishMax-c.held:
		return 0, ErrPublishMax
	case t.live >= c.cfg.RequestsMax:
		return 0, ErrBusy
	}
	slot := t.take()
	k := &t.slots[slot]
	k.reply, k.size, k.request.producer = r, size, p
	k.foreign = c.isForeign()
	k.timeout, k.deadline = max(timeout, 1), 0
	c.held += size
	c.undecided++
	c.stats.Requests++
	id := t.id(slot)
	t.fresh = append(t.fresh, id)
	lane := t.laneOf(o.Exchange, k.foreign)
	if p.ready && len(t.waiting) == t.left && lane.clear() && c.conn.out.Len() < outMark {
		lane.send(id, o)
	} else {
		k.request = park(p, o, size, nil)
		t.waiting = append(t.waiting, id)
		t.woken = t.woken || p.ready
		lane.start()
	}
	c.wake()
	return id, nil
}

// Forget drops a request: its Reply is not called. It does nothing and returns false
// if the Reply has been called already.
func (c *Client) Forget(id RequestID) bool {
	if c.requests.find(id) == nil {
		return false
	}
	c.requests.free(id)
	c.wake()
	return true
}

// Requests is the number of requests that have no outcome.
func (c *Client) Requests() int { return c.requests.live }

// take returns a free slot.
func (t *requests) take() (slot uint32) {
	if n := len(t.unused); n > 0 {
		slot, t.unused = t.unused[n-1], t.unused[:n-1]
	} else {
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, request{})
	}
	t.slots[slot].number++
	t.live++
	return slot
}

func (t *requests) id(slot uint32) RequestID {
	return RequestID(t.slots[slot].number)<<32 | RequestID(slot)
}

// find returns the request with that id, or nil if it has had its outcome.
func (t *requests) find(id RequestID) *request {
	slot := int(id & math.MaxUint32)
	if slot >= len(t.slots) {
		return nil
	}
	if k := &t.slots[slot]; k.reply != nil && k.number == uint32(id>>32) {
		return k
	}
	return nil
}

// free empties the slot of a request. Its id may stay in lists, where find no longer
// finds it.
func (t *requests) free(id RequestID) (r Reply) {
	k := t.find(id)
	r = k.reply
	t.client.held -= k.size
	t.client.undecided--
	t.live--
	if k.via != nil && !k.received {
		k.via.open--
	}
	*k = request{number: k.number, copied: k.copied.emptied()}
	t.unused = append(t.unused, uint32(id))
	return r
}

// end reports the outcome of a request, unless it has had one.
func (t *requests) end(id RequestID, d *Delivery, err error) {
	if t.find(id) != nil {
		t.free(id).Replied(d, err)
	}
}

// appendCorrelation appends the correlation id of a request.
func (t *requests) appendCorrelation(dst []byte, id RequestID) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, t.nonce[:]...)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id>>shift&15])
	}
	return dst
}

// correlated returns the request that a correlation id names, or 0.
func (t *requests) correlated(b []byte) RequestID {
	if len(b) != correlationSize || string(b[:len(t.nonce)]) != string(t.nonce[:]) {
		return 0
	}
	var n [8]byte
	if _, err := hex.Decode(n[:], b[len(t.nonce):]); err != nil {
		return 0
	}
	var id RequestID
	for _, octet := range n {
		id = id<<8 | RequestID(octet)
	}
	return id
}

// tick sets the deadlines of new requests and ends the expired ones.
func (t *requests) tick(now int64) {
	for _, id := range t.fresh {
		if k := t.find(id); k != nil {
			k.deadline = now + int64(k.timeout)
			endpoint.Sooner(&t.expiry, k.deadline)
		}
	}
	t.fresh = t.fresh[:0]
	if t.expiry == 0 || now < t.expiry {
		return
	}
	t.late = t.late[:0]
	var next int64
	for slot := range t.slots {
		switch k := &t.slots[slot]; {
		case k.reply == nil || k.deadline == 0:
		case k.deadline <= now:
			t.late = append(t.late, t.id(uint32(slot)))
		default:
			endpoint.Sooner(&next, k.deadline)
		}
	}
	if next != 0 {
		next = max(next, now+int64(expiryGrain))
	}
	t.expiry = next
	late := t.late
	t.late = nil // the callbacks may call tick again
	for _, id := range late {
		if k := t.find(id); k != nil {
			t.client.stats.RequestTimeouts++
			err := t.client.unanswered(ErrReplyTimeout)
			if k.via == nil {
				err = t.client.whyWaiting(ErrReplyTimeout, k.request.producer, t.lane(k).err)
			}
			t.end(id, nil, err)
		}
	}
	if t.late == nil {
		t.late = late
	}
}
