package amqpdoor

import (
	"strings"
	"time"

	"golang.org/x/time/rate"

	"zamqp/publisher"
)

// A gate lets messages into their handlers: not while the consumer is paused,
// not faster than its rate, and those of one lane one after the other. What
// waits is bounded by the prefetch. The usual gate is always open.
type gate struct {
	k       *consumer
	limiter *rate.Limiter // nil without a bound
	waiting []delivery
	stop    func() bool // of the timer for the next one that the rate lets in; nil without
	lane    func(c *publisher.Call) []byte
	lanes   map[string]*lane
	posted  bool
}

// A lane is the messages of one key, of which one is handled.
type lane struct {
	waiting []delivery
	in      *intake // of the one that is handled
	epoch   uint32
	tag     uint64
}

func (g *gate) init(k *consumer) {
	g.k = k
	c := &k.declared
	if c.Rate > 0 {
		g.limiter = rate.NewLimiter(rate.Limit(c.Rate), max(1, c.Burst))
	}
	if g.lane = laneOf(c.Lane); g.lane != nil {
		g.lanes = map[string]*lane{}
	}
}

// laneOf returns how the key of a lane is got from a message; nil without lanes.
// No key, as where the header is missing, is no lane.
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

// enter dispatches the message, or keeps it until it may.
func (g *gate) enter(c delivery) {
	if g.limiter == nil && g.lane == nil && !g.k.paused && !g.k.link.door.quiet.isOn() {
		g.k.begin(c)
		return
	}
	g.waiting = append(g.waiting, c)
	g.pump()
}

// pump lets in what may come in now.
func (g *gate) pump() {
	for len(g.waiting) > 0 && !g.k.paused && !g.k.stopped && !g.k.link.door.quiet.isOn() {
		if g.limiter != nil && !g.allowed() {
			return
		}
		c := g.waiting[0]
		g.waiting[0] = delivery{}
		if g.waiting = g.waiting[1:]; len(g.waiting) == 0 {
			g.waiting = nil
		}
		g.join(c)
	}
}

// allowed takes a token, or sets the timer for it.
func (g *gate) allowed() bool {
	now := g.k.link.door.runtime.Now()
	if g.limiter.AllowN(now, 1) {
		return true
	}
	if g.stop == nil {
		missing := max(0, 1-g.limiter.TokensAt(now))
		// An hour at most: the pause of a tiny rate is more than a Duration holds.
		seconds := min(missing/float64(g.limiter.Limit()), time.Hour.Seconds())
		wait := time.Duration(seconds*float64(time.Second)) + time.Microsecond
		g.stop = g.k.link.door.runtime.After(wait, func() {
			g.stop = nil
			g.pump()
		})
	}
	return false
}

// join dispatches the message when its lane is free.
func (g *gate) join(c delivery) {
	if g.lane != nil {
		if key := g.lane(c.Call); len(key) > 0 {
			l := g.lanes[string(key)]
			if l != nil {
				l.waiting = append(l.waiting, c)
				return
			}
			m := c.Message()
			g.lanes[string(key)] = &lane{in: c.in, epoch: m.Epoch, tag: m.DeliveryTag}
		}
	}
	g.k.begin(c)
}

// open goes on after it was quiet.
func (g *gate) open() {
	g.pump()
	if len(g.lanes) > 0 {
		g.next()
	}
}

// leave frees the message's lane for the next one. That one is begun in a later
// step of the loop: begun here, a long lane would be a deep stack.
func (g *gate) leave(c delivery) {
	if g.lane == nil {
		return
	}
	g.free(g.lane(c.Call), c.in, c.Message())
}

func (g *gate) free(key []byte, in *intake, m *publisher.Message) {
	l := g.lanes[string(key)]
	if l == nil || l.in != in || l.epoch != m.Epoch || l.tag != m.DeliveryTag {
		return // a lane of a later epoch
	}
	if len(l.waiting) == 0 {
		delete(g.lanes, string(key))
		return
	}
	l.in = nil
	if !g.posted {
		g.posted = true
		g.k.link.door.runtime.Post(g.next)
	}
}

// next begins the first message of each lane that is free.
func (g *gate) next() {
	g.posted = false
	if g.k.link.door.quiet.isOn() {
		return // open comes back to it
	}
	for key, l := range g.lanes {
		if l.in != nil || g.k.stopped {
			continue
		}
		if len(l.waiting) == 0 {
			delete(g.lanes, key)
			continue
		}
		c := l.waiting[0]
		l.waiting = append(l.waiting[:0], l.waiting[1:]...)
		m := c.Message()
		l.in, l.epoch, l.tag = c.in, m.Epoch, m.DeliveryTag
		g.k.begin(c)
	}
}

// count is how many wait.
func (g *gate) count() int {
	n := len(g.waiting) + len(g.k.trials.waiting)
	for _, l := range g.lanes {
		n += len(l.waiting)
	}
	return n
}

// forget drops what waits of an intake whose channel is gone: it comes again,
// and waits then until whoever is in its lane has left.
func (g *gate) forget(in *intake) {
	g.take(func(c delivery) bool { return c.in == in && c.Message().Epoch != in.epoch }, nil)
}

// empty hands back all that waits.
func (g *gate) empty() {
	if g.stop != nil {
		g.stop()
		g.stop = nil
	}
	g.take(func(delivery) bool { return true }, func(c delivery) {
		m := c.Message()
		c.in.handBack(m.Epoch, m.DeliveryTag)
	})
}

// take takes out what waits and is wanted.
func (g *gate) take(wanted func(c delivery) bool, do func(c delivery)) {
	from := func(list []delivery, leave bool) []delivery {
		keep := list[:0]
		for _, c := range list {
			if !wanted(c) {
				keep = append(keep, c)
				continue
			}
			if leave {
				g.leave(c)
			}
			if do != nil {
				do(c)
			}
			g.k.link.door.unclaim(c.Message())
			g.k.link.door.server.Discard(c.Call)
		}
		clear(list[len(keep):])
		return keep
	}
	g.waiting = from(g.waiting, false)
	for _, l := range g.lanes {
		l.waiting = from(l.waiting, false)
	}
	g.k.trials.waiting = from(g.k.trials.waiting, true)
	g.k.trials.pump() // it may be quiet for one that has gone
}
