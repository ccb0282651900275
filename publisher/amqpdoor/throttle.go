package amqpdoor

import (
	"strings"
	"time"

	"golang.org/x/time/rate"

	"zamqp/publisher"
)

// A throttle decides when messages go to their handlers: not while the consumer is paused,
// not faster than its rate, and the messages of one lane one after the other. The prefetch
// bounds how many wait. Most throttles let everything through at once.
type throttle struct {
	k       *consumer
	limiter *rate.Limiter // nil without a bound
	waiting []delivery
	stop    func() bool // stops the timer for the next message that the rate allows; nil if none is set
	lane    func(c *publisher.Call) []byte
	lanes   map[string]*lane
	free    []*lane // lanes whose next message may begin, in the order in which they became free
	laned   int     // messages that wait in lanes
	posted  bool    // next will run
	pumping bool    // pump will run in the next turn
}

// throttleTurnMax is how many messages that have waited begin in one turn of the loop.
const throttleTurnMax = 256

// A lane holds the messages of one key. One of them is handled at a time.
type lane struct {
	key     string
	waiting []delivery
	sub     *subscription // subscription of the message that is being handled
	epoch   uint32
	tag     uint64
}

func (t *throttle) init(k *consumer) {
	t.k = k
	c := &k.declared
	if c.Rate > 0 {
		t.limiter = rate.NewLimiter(rate.Limit(c.Rate), max(1, c.Burst))
	}
	if t.lane = laneOf(c.Lane); t.lane != nil {
		t.lanes = map[string]*lane{}
	}
}

// laneOf returns the function that finds the key of a message's lane, or nil if there are
// no lanes. A message without a key, for example without the header, has no lane.
func laneOf(setting string) func(c *publisher.Call) []byte {
	name, isHeader := strings.CutPrefix(setting, "header:")
	switch {
	case isHeader:
		return func(c *publisher.Call) []byte { return []byte(c.Request().Header(name)) }
	case setting == "routing_key":
		return func(c *publisher.Call) []byte { return c.Message().RoutingKey }
	case setting == "queue":
		one := []byte("queue")
		return func(*publisher.Call) []byte { return one }
	}
	return nil
}

// enter dispatches the message, or keeps it until it may be dispatched.
func (t *throttle) enter(c delivery) {
	// What waits, perhaps for the next slice, comes first.
	if len(t.waiting) == 0 && t.limiter == nil && t.lane == nil && !t.k.paused && !t.k.link.door.quiet.isOn() {
		t.k.begin(c)
		return
	}
	t.waiting = append(t.waiting, c)
	t.pump()
}

// pump dispatches the messages that may be dispatched now, in slices.
func (t *throttle) pump() {
	if t.pumping {
		return
	}
	for n := 0; len(t.waiting) > 0 && !t.k.paused && !t.k.stopped && !t.k.link.door.quiet.isOn(); n++ {
		if n == throttleTurnMax {
			t.pumping = true
			t.k.link.door.server.InNextTurn(func() {
				t.pumping = false
				t.pump()
			})
			return
		}
		if t.limiter != nil && !t.allowed() {
			return
		}
		c := t.waiting[0]
		t.waiting[0] = delivery{}
		if t.waiting = t.waiting[1:]; len(t.waiting) == 0 {
			t.waiting = nil
		}
		t.join(c)
	}
}

// allowed takes a token, or sets the timer for it.
func (t *throttle) allowed() bool {
	now := t.k.link.door.runtime.Now()
	if t.limiter.AllowN(now, 1) {
		return true
	}
	if t.stop == nil {
		missing := max(0, 1-t.limiter.TokensAt(now))
		// At most an hour: with a tiny rate the time does not fit into a Duration.
		seconds := min(missing/float64(t.limiter.Limit()), time.Hour.Seconds())
		wait := time.Duration(seconds*float64(time.Second)) + time.Microsecond
		t.stop = t.k.link.door.runtime.After(wait, func() {
			t.stop = nil
			t.pump()
		})
	}
	return false
}

// join dispatches the message when its lane is free.
func (t *throttle) join(c delivery) {
	if t.lane != nil {
		if key := t.lane(c.Call); len(key) > 0 {
			l := t.lanes[string(key)]
			if l != nil {
				l.waiting = append(l.waiting, c)
				t.laned++
				return
			}
			m := c.Message()
			t.lanes[string(key)] = &lane{key: string(key), sub: c.sub, epoch: m.Epoch, tag: m.DeliveryTag}
		}
	}
	t.k.begin(c)
}

// open continues after a time in which no handler was allowed to begin.
func (t *throttle) open() {
	t.pump()
	if len(t.free) > 0 {
		t.next()
	}
	if d := t.k.dedupe; d != nil && d.woken {
		d.again()
	}
}

// leave frees the message's lane for the next message. That message is dispatched in a
// later step of the loop, because a long lane would make a deep stack here.
func (t *throttle) leave(c delivery) {
	if t.lane == nil {
		return
	}
	t.release(t.lane(c.Call), c.sub, c.Message())
}

func (t *throttle) release(key []byte, sub *subscription, m *publisher.Message) {
	l := t.lanes[string(key)]
	if l == nil || l.sub != sub || l.epoch != m.Epoch || l.tag != m.DeliveryTag {
		return // a lane of a later epoch
	}
	if len(l.waiting) == 0 {
		delete(t.lanes, string(key))
		return
	}
	l.sub = nil
	t.free = append(t.free, l)
	if !t.posted {
		t.posted = true
		t.k.link.door.runtime.Post(t.next)
	}
}

// next dispatches the first message of lanes that are free.
func (t *throttle) next() {
	t.posted = false
	if t.k.link.door.quiet.isOn() {
		return // open calls it again
	}
	for n := 0; len(t.free) > 0 && !t.k.stopped; n++ {
		if n == throttleTurnMax {
			if !t.posted {
				t.posted = true
				t.k.link.door.server.InNextTurn(t.next)
			}
			return
		}
		l := t.free[0]
		t.free[0] = nil
		t.free = t.free[1:]
		if len(l.waiting) == 0 {
			delete(t.lanes, l.key)
			continue
		}
		c := l.waiting[0]
		l.waiting[0] = delivery{}
		l.waiting = l.waiting[1:]
		t.laned--
		m := c.Message()
		l.sub, l.epoch, l.tag = c.sub, m.Epoch, m.DeliveryTag
		t.k.begin(c)
	}
}

// count returns how many messages wait.
func (t *throttle) count() int {
	n := len(t.waiting) + t.laned + len(t.k.trials.waiting)
	if t.k.dedupe != nil {
		n += len(t.k.dedupe.waiting)
	}
	return n
}

// forget drops the waiting messages of a subscription whose channel has ended. They come
// again, and then wait until the message that is being handled in their lane is done.
func (t *throttle) forget(sub *subscription) {
	t.take(func(c delivery) bool { return c.sub == sub && c.Message().Epoch != sub.epoch }, nil)
}

// empty gives all waiting messages back.
func (t *throttle) empty() {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	t.take(func(delivery) bool { return true }, func(c delivery) {
		m := c.Message()
		c.sub.handBack(m.Epoch, m.DeliveryTag)
	})
}

// drop ends a message without a call.
func (k *consumer) drop(c delivery) {
	k.throttle.leave(c)
	k.trials.over(c)
	k.link.door.unclaim(c.Message())
	k.link.door.server.Discard(c.Call)
}

// take removes the waiting messages for which wanted returns true, and calls do with each.
func (t *throttle) take(wanted func(c delivery) bool, do func(c delivery)) {
	from := func(list []delivery) []delivery {
		keep := list[:0]
		for _, c := range list {
			if !wanted(c) {
				keep = append(keep, c)
				continue
			}
			if do != nil {
				do(c)
			}
			t.k.drop(c)
		}
		clear(list[len(keep):])
		return keep
	}
	t.waiting = from(t.waiting)
	for _, l := range t.lanes {
		t.laned -= len(l.waiting)
		l.waiting = from(l.waiting)
		t.laned += len(l.waiting)
	}
	t.k.trials.waiting = from(t.k.trials.waiting)
	if d := t.k.dedupe; d != nil {
		d.waiting = from(d.waiting)
	}
	t.k.trials.pump() // a trial may have waited for one of these
}
