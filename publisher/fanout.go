package publisher

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Limits of the fan-out in one turn of the loop, for all topics together. Each client that gets
// something costs a system call at the end of the turn, which is most of the work.
const (
	fanoutClients = 256                  // clients that get something
	fanoutEvents  = 4096                 // events, each counted for each client
	fanoutOctets  = 1 << 20              // octets, each counted for each client
	fanoutTime    = time.Millisecond / 2 // for the work itself, without the system calls
	fanoutShare   = 32                   // clients of one topic, before the next topic is served
)

// A fanout gives the events of all topics to their subscribers, in slices: one a turn. Loop
// thread only.
type fanout struct {
	server *Server
	topics []*topic // that have subscribers to serve; the first one is next
	posted bool     // a slice will run in the next turn
	slice  func()   // run, made once
	left   fanoutBudget
	prefix string // of ids
	ids    atomic.Uint64
}

// A fanoutBudget is what is left of a slice.
type fanoutBudget struct{ clients, events, octets int }

func (b *fanoutBudget) over() bool { return b.clients <= 0 || b.events <= 0 || b.octets <= 0 }

// add makes the fan-out serve a topic from the next turn on.
func (f *fanout) add(t *topic) {
	f.topics = append(f.topics, t)
	f.next()
}

func (f *fanout) next() {
	if !f.posted {
		f.posted = true
		f.server.InNextTurn(f.slice)
	}
}

// run is one slice. It serves at least one share, whatever the clock says.
func (f *fanout) run() {
	f.posted = false
	f.left = fanoutBudget{fanoutClients, fanoutEvents, fanoutOctets}
	until := time.Now().Add(fanoutTime)
	for len(f.topics) > 0 && !f.left.over() {
		t := f.topics[0]
		copy(f.topics, f.topics[1:])
		f.topics[len(f.topics)-1] = nil
		f.topics = f.topics[:len(f.topics)-1]
		t.serve(&f.left)
		t.admit()
		if t.queued = t.busy(); t.queued {
			f.topics = append(f.topics, t)
		}
		if time.Now().After(until) {
			break
		}
	}
	if len(f.topics) > 0 {
		f.next()
	}
}

// serve gives a share of the topic's subscribers the events that they have not got, as far as the
// budget goes.
func (t *topic) serve(left *fanoutBudget) {
	for n := 0; n < fanoutShare && !left.over(); n++ {
		sub := t.overdue()
		if sub == nil {
			if sub = t.behind.first(); sub == nil {
				return
			}
		}
		left.clients--
		sub.unlink()
		t.serveOne(sub, left)
	}
}

// serveOne gives a subscriber, which is in no list, its next events, and puts it into its
// list.
func (t *topic) serveOne(sub *subscription, left *fanoutBudget) {
	if sub.seq < t.log.first {
		t.drop(sub, ErrSlow)
		return
	}
	for sub.seq < t.log.end() {
		if left.over() {
			t.behind.addFirst(sub)
			return
		}
		left.events--
		e := t.log.get(sub.seq)
		p := t.log.form(e, sub.to.format())
		if sub.at == 0 {
			wanted, err := sub.wants(e, p)
			if err != nil {
				t.drop(sub, err)
				return
			}
			if !wanted {
				sub.seq++
				continue
			}
		}
		n, more, err := sub.to.deliver(p[sub.at:])
		if err != nil {
			t.drop(sub, err)
			return
		}
		left.octets -= n
		if sub.at += n; sub.at == len(p) {
			sub.seq, sub.at = sub.seq+1, 0
			t.stats.deliveries++
		}
		if !more {
			sub.blocked = true
			t.blocked.add(sub)
			return
		}
	}
	t.idle.add(sub)
}

// wants reports whether the subscriber gets an event. p is the event, encoded for this
// subscriber. If the filter panics, which is a handler's code, that ends only this subscription.
func (s *subscription) wants(e *topicEvent, p []byte) (wanted bool, err error) {
	if s.filter != nil {
		defer func() {
			if value := recover(); value != nil {
				wanted, err = false, &PanicError{Value: value, Stack: debug.Stack(), who: "the filter of FollowOnly"}
			}
		}()
		if !s.filter(&e.Event) {
			return false, nil
		}
	}
	if len(p) == 0 {
		s.topic.stats.unfit++
		return false, nil
	}
	return true, nil
}

// drop ends a subscription that is in no list.
func (t *topic) drop(sub *subscription, cause error) {
	sub.over = true
	t.stats.subscribers--
	if cause == ErrSlow {
		t.stats.slow++
		t.tellSlow()
	}
	sub.to.dropped(cause)
}

// slowEvery is how often the log names a topic with slow clients, in seconds.
const slowEvery = 60

// tellSlow logs that clients were dropped, from time to time.
func (t *topic) tellSlow() {
	s := t.fanout.server
	if now := s.runtime.Now().Unix(); now-t.told >= slowEvery {
		t.told = now
		s.log.Warn().Str("topic", t.name).Uint64("dropped", t.stats.slow).Int("events", t.log.count).Int("octets", t.log.octets).
			Msg("clients were dropped because they read the topic's events more slowly than they come: a larger topic." + t.name + ".events or .octets gives them more time; for a minute, more such clients are only counted")
	}
}
