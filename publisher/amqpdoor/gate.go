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
	waiting []*publisher.Request
	stop    func() bool // of the timer for the next one that the rate lets in; nil without
	lane    func(r *publisher.Request) []byte
	lanes   map[string]*lane
	posted  bool
}

// A lane is the messages of one key, of which one is handled.
type lane struct {
	waiting []*publisher.Request
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
func laneOf(setting string) func(r *publisher.Request) []byte {
	name, isHeader := strings.CutPrefix(setting, "header:")
	switch {
	case isHeader:
		return func(r *publisher.Request) []byte { return []byte(r.Header(name)) }
	case setting == "routing_key":
		return func(r *publisher.Request) []byte { return r.Message().RoutingKey }
	case setting == "queue":
		one := []byte("queue")
		return func(*publisher.Request) []byte { return one }
	}
	return nil
}

// enter dispatches the message, or keeps it until it may.
func (g *gate) enter(r *publisher.Request) {
	if g.limiter == nil && g.lane == nil && !g.k.paused && !g.k.link.door.quiet.isOn() {
		g.k.begin(r)
		return
	}
	g.waiting = append(g.waiting, r)
	g.pump()
}

// pump lets in what may come in now.
func (g *gate) pump() {
	for len(g.waiting) > 0 && !g.k.paused && !g.k.stopped && !g.k.link.door.quiet.isOn() {
		if g.limiter != nil && !g.allowed() {
			return
		}
		r := g.waiting[0]
		g.waiting[0] = nil
		if g.waiting = g.waiting[1:]; len(g.waiting) == 0 {
			g.waiting = nil
		}
		g.join(r)
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
func (g *gate) join(r *publisher.Request) {
	in := r.Message().Via.(*intake)
	if g.lane != nil {
		if key := g.lane(r); len(key) > 0 {
			l := g.lanes[string(key)]
			if l != nil {
				l.waiting = append(l.waiting, r)
				return
			}
			m := r.Message()
			g.lanes[string(key)] = &lane{in: in, epoch: m.Epoch, tag: m.DeliveryTag}
		}
	}
	g.k.begin(r)
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
func (g *gate) leave(r *publisher.Request) {
	if g.lane == nil {
		return
	}
	g.free(g.lane(r), r.Message())
}

func (g *gate) free(key []byte, m *publisher.Message) {
	l := g.lanes[string(key)]
	if l == nil || l.in != m.Via.(*intake) || l.epoch != m.Epoch || l.tag != m.DeliveryTag {
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
		r := l.waiting[0]
		l.waiting = append(l.waiting[:0], l.waiting[1:]...)
		m := r.Message()
		l.in, l.epoch, l.tag = m.Via.(*intake), m.Epoch, m.DeliveryTag
		g.k.begin(r)
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
	g.take(func(r *publisher.Request) bool {
		m := r.Message()
		return m.Via == in && m.Epoch != in.epoch
	}, nil)
}

// empty hands back all that waits.
func (g *gate) empty() {
	if g.stop != nil {
		g.stop()
		g.stop = nil
	}
	g.take(func(*publisher.Request) bool { return true }, func(r *publisher.Request) {
		m := r.Message()
		m.Via.(*intake).handBack(m.Epoch, m.DeliveryTag)
	})
}

// take takes out what waits and is wanted.
func (g *gate) take(wanted func(r *publisher.Request) bool, do func(r *publisher.Request)) {
	from := func(list []*publisher.Request, leave bool) []*publisher.Request {
		keep := list[:0]
		for _, r := range list {
			if !wanted(r) {
				keep = append(keep, r)
				continue
			}
			if leave {
				g.leave(r)
			}
			if do != nil {
				do(r)
			}
			g.k.link.door.unclaim(r.Message())
			g.k.link.door.server.Discard(r)
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
