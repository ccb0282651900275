package amqpdoor

import (
	"time"

	"zamqp/publisher"
)

// trials handles the messages of a consumer that may have ended a process: those in
// quarantine, and those that cannot move there. It handles them one at a time, so
// that the next end of a process shows which message was the cause. The message that
// was in hand at the fewest ends comes first, so that a message that ends processes
// does not block the others.
type trials struct {
	k       *consumer
	waiting []delivery
	busy    bool // a message is being handled: the next three fields describe it
	sub     *subscription
	epoch   uint32
	tag     uint64
	posted  bool
}

// begin handles the message at once, or when its turn comes.
func (k *consumer) begin(c delivery) {
	if h := &c.Message().History; h.Ends > 0 || h.Quarantined {
		if next := h.Next(&k.declared); next.Trial != publisher.TrialNone || next.Step == publisher.StepQuarantine {
			k.trials.waiting = append(k.trials.waiting, c)
			k.trials.pump()
			return
		}
	}
	k.dispatch(c, false)
}

// pump begins the next trial if that is allowed now.
func (t *trials) pump() {
	q := &t.k.link.door.quiet
	if !t.try(q) && q.k == t.k && !t.busy && !t.wanted() {
		q.release()
	}
}

func (t *trials) wanted() bool {
	return len(t.waiting) > 0 && !t.k.paused && !t.k.stopped && !t.k.isMoving()
}

func (t *trials) try(q *quiet) bool {
	if t.busy || !t.wanted() || q.moving > 0 {
		return false
	}
	next := 0
	for i, c := range t.waiting {
		if ends(c) < ends(t.waiting[next]) {
			next = i
		}
	}
	c := t.waiting[next]
	m := c.Message()
	last := t.k.declared.Retry.IsCrashed(ends(c) + 1)
	if last && !q.reserve(t.k) {
		return false
	}
	copy(t.waiting[next:], t.waiting[next+1:])
	t.waiting[len(t.waiting)-1] = delivery{}
	t.waiting = t.waiting[:len(t.waiting)-1]
	t.busy, t.sub, t.epoch, t.tag = true, c.sub, m.Epoch, m.DeliveryTag
	alone := last && t.k.link.door.running == 0
	t.k.dispatch(c, alone)
	if last && t.busy {
		q.slot = m.Slot
	}
	return true
}

func ends(c delivery) int {
	h := &c.Message().History
	return h.Crashes + h.Ends
}

// over is called when a handler has ended.
func (t *trials) over(c delivery) {
	m := c.Message()
	if !t.busy || t.sub != c.sub || t.epoch != m.Epoch || t.tag != m.DeliveryTag {
		return
	}
	t.busy, t.sub = false, nil
	if q := &t.k.link.door.quiet; q.k == t.k {
		q.release()
	}
	t.soon()
}

// soon calls pump in a later step of the loop: many trials in a row would make a deep stack.
func (t *trials) soon() {
	if t.posted || len(t.waiting) == 0 {
		return
	}
	t.posted = true
	t.k.link.door.runtime.Post(func() {
		t.posted = false
		t.pump()
	})
}

// quiet is a time in which no other handler begins. There are two reasons for it.
// First, a message has its last trial before it is given up, and is handled alone.
// The trial waits for the handlers that run. It has a time limit: a message that takes
// longer is tried beside others, and then the end of a process does not give it up.
// Second, a message that was in hand at an end moves to another queue: if the process
// ended in that time, the original would come back beside its copy.
type quiet struct {
	door *Door
	k    *consumer // the consumer whose message is tried alone; nil if there is none
	late bool      // quietMax has passed
	slot uint32    // slot of the message while it is being handled
	stop func() bool

	moving int // messages that were in hand at an end and are moving now
}

// quietMax is the longest time in which no other handler begins.
const quietMax = 10 * time.Second

// reserve reports whether the consumer's message may be handled now. If not, pump is
// called for its trials when it may.
func (q *quiet) reserve(k *consumer) bool {
	if q.k == nil {
		q.k, q.late = k, false
		q.stop = q.door.runtime.After(quietMax, q.expire)
	}
	return q.k == k && (q.door.running == 0 || q.late)
}

// ended is called when a handler has ended.
func (q *quiet) ended() {
	if q.k != nil && q.door.running == 0 {
		q.k.trials.soon()
	}
}

func (q *quiet) expire() {
	q.late = true
	k := q.k
	if !k.trials.busy {
		k.trials.pump()
	}
	if q.k == k { // the quiet time is still for this consumer
		if q.slot != 0 && q.door.hand != nil {
			q.door.hand.Shared(q.slot)
		}
		q.release()
	}
}

// release lets all handlers begin again.
func (q *quiet) release() {
	if q.stop != nil {
		q.stop()
	}
	q.k, q.slot, q.stop = nil, 0, nil
	q.open()
}

// open begins the messages that have waited, in later steps of the loop: trials
// first.
func (q *quiet) open() {
	for _, l := range q.door.links {
		for _, k := range l.consumers {
			k.trials.soon()
		}
	}
	q.door.runtime.Post(func() {
		for _, l := range q.door.links {
			for _, k := range l.consumers {
				k.throttle.open()
			}
		}
	})
}

// move starts a quiet time. It ends when the returned function is called, or after
// quietMax.
func (q *quiet) move() (over func()) {
	q.moving++
	done := false
	end := func() {
		if done {
			return
		}
		done = true
		if q.moving--; q.moving > 0 {
			return
		}
		q.open()
	}
	stop := q.door.runtime.After(quietMax, end)
	return func() {
		stop()
		end()
	}
}

// isOn reports whether no handler may begin.
func (q *quiet) isOn() bool { return q.k != nil || q.moving > 0 }
