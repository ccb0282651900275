package amqpdoor

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
)

// stillTime is a loop whose time the test moves.
type stillTime struct {
	now    time.Time
	timers []func()
	waits  []time.Duration // of the timers
	posted []func()
}

func (s *stillTime) Now() time.Time                  { return s.now }
func (s *stillTime) Since(t time.Time) time.Duration { return s.now.Sub(t) }
func (s *stillTime) Post(fn func()) bool             { s.posted = append(s.posted, fn); return true }
func (s *stillTime) Offload(uintptr, func(), func()) {}
func (s *stillTime) MoreTasks()                      {}
func (s *stillTime) Enter(*string)                   {}
func (s *stillTime) After(d time.Duration, fn func()) func() bool {
	s.waits = append(s.waits, d)
	s.timers = append(s.timers, fn)
	return func() bool { return true }
}

// newThrottle is a consumer without a broker, whose handler notes the bodies.
func newThrottle(t testing.TB, c publisher.Consumer, h publisher.Handler) (*consumer, *stillTime) {
	t.Helper()
	c.Connection, c.Queue, c.NoAck = "default", "c", true
	g := publisher.NewRegistry()
	g.Consume("c", c, h)
	s, err := publisher.NewServer(g, nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	clock := &stillTime{now: time.Unix(1000, 0)}
	s.Start(clock)
	k := &consumer{link: &link{door: New(s, clock, zerolog.Nop())}, name: "c", declared: c, known: newAttempts()}
	k.throttle.init(k)
	k.trials.k = k
	k.main = &subscription{k: k}
	return k, clock
}

func (k *consumer) enterOne(t testing.TB, tag uint64, key string) {
	r := k.link.door.server.NewCall()
	if err := r.SetMessage(&publisher.Message{Consumer: "c", DeliveryTag: tag, RoutingKey: []byte(key), Properties: []byte{0, 0}}); err != nil {
		t.Fatal(err)
	}
	k.throttle.enter(delivery{r, k.main})
}

// TestTinyRate: the pause until its next message is longer than a Duration holds.
func TestTinyRate(t *testing.T) {
	k, clock := newThrottle(t, publisher.Consumer{Rate: 1e-12}, func(*publisher.Request) error { return nil })
	k.enterOne(t, 1, "")
	k.enterOne(t, 2, "")
	if len(clock.waits) != 1 || clock.waits[0] < time.Minute {
		t.Errorf("waits %v", clock.waits)
	}
}

func TestRateIsATokenBucket(t *testing.T) {
	seen := 0
	k, clock := newThrottle(t, publisher.Consumer{Rate: 10, Burst: 3}, func(*publisher.Request) error { seen++; return nil })
	for tag := range uint64(10) {
		k.enterOne(t, tag+1, "")
	}
	for step, want := range []int{3, 4, 5, 6} {
		if seen != want || len(clock.timers) != 1 {
			t.Fatalf("after %d tenths: %d begun, %d timers", step, seen, len(clock.timers))
		}
		clock.now = clock.now.Add(101 * time.Millisecond)
		fire := clock.timers[0]
		clock.timers = nil
		fire()
	}
}

func TestALaneIsOneAfterTheOther(t *testing.T) {
	var order []string
	var ends []func(error)
	k, clock := newThrottle(t, publisher.Consumer{Lane: "routing_key"}, func(r *publisher.Request) error {
		order = append(order, fmt.Sprint(string(r.Delivery().RoutingKey), r.Delivery().DeliveryTag))
		return r.Await(func(done func(error)) { ends = append(ends, done) })
	})
	for tag, key := range []string{"a", "a", "b", "a", "", ""} {
		k.enterOne(t, uint64(tag), key)
	}
	if want := []string{"a0", "b2", "4", "5"}; !reflect.DeepEqual(order, want) {
		t.Fatalf("%q", order)
	}
	for len(ends) > 0 {
		ends[0](nil)
		ends = ends[1:]
		for len(clock.posted) > 0 {
			next := clock.posted[0]
			clock.posted = clock.posted[1:]
			next()
			for k.link.door.server.RunReady() {
			}
		}
	}
	if want := []string{"a0", "b2", "4", "5", "a1", "a3"}; !reflect.DeepEqual(order, want) || len(k.throttle.lanes) != 0 {
		t.Errorf("%q, %d lanes left", order, len(k.throttle.lanes))
	}
}

func TestAnOpenThrottleDoesNotAllocate(t *testing.T) {
	k, _ := newThrottle(t, publisher.Consumer{}, func(*publisher.Request) error { return nil })
	m := publisher.Message{Consumer: "c", Properties: []byte{0, 0}, Body: make([]byte, 256)}
	once := func() {
		r := k.link.door.server.NewCall()
		if err := r.SetMessage(&m); err != nil {
			t.Fatal(err)
		}
		k.throttle.enter(delivery{r, k.main})
	}
	once()
	first := k.link.door.server.NewCall()
	k.link.door.server.Discard(first)
	if again := k.link.door.server.NewCall(); again != first {
		t.Skip("each call has a request of its own: a debug build")
	}
	k.link.door.server.Discard(first)
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// prefetchMax is the largest prefetch, and so how many messages may wait.
const prefetchMax = 1<<16 - 1

// turn runs what is due, as one turn of the loop does.
func (s *stillTime) turn() bool {
	due := append(s.timers, s.posted...)
	s.timers, s.posted = nil, nil
	for _, fn := range due {
		fn()
	}
	return len(due) > 0
}

// TestManyWaitingBeginInSlices: when a consumer is resumed, or a quiet time ends, so many of
// the messages that have waited begin in one turn, in order.
func TestManyWaitingBeginInSlices(t *testing.T) {
	next := uint64(1)
	inTurn := 0
	k, clock := newThrottle(t, publisher.Consumer{}, func(r *publisher.Request) error {
		if tag := r.Delivery().DeliveryTag; tag != next {
			t.Fatalf("message %d began when it was the turn of %d", tag, next)
		}
		next++
		inTurn++
		return nil
	})
	k.paused = true
	for tag := range uint64(prefetchMax) {
		k.enterOne(t, tag+1, "")
	}
	if inTurn > 0 {
		t.Fatal("a message began while the consumer was paused")
	}
	k.paused = false
	k.throttle.pump()
	k.throttle.pump() // does not begin more
	for more := true; more; more = clock.turn() {
		if inTurn > throttleTurnMax {
			t.Fatalf("%d messages began in one turn", inTurn)
		}
		inTurn = 0
	}
	if next != prefetchMax+1 || k.throttle.count() != 0 {
		t.Errorf("%d messages have begun, %d wait", next-1, k.throttle.count())
	}
}

// TestManyLanesInSlices: very many lanes become free in one turn. So many messages begin in
// one turn, those of a lane in order.
func TestManyLanesInSlices(t *testing.T) {
	const lanes = prefetchMax / 3
	begun := map[string]uint64{}
	var ends []func(error)
	inTurn, total := 0, 0
	k, clock := newThrottle(t, publisher.Consumer{Lane: "routing_key"}, func(r *publisher.Request) error {
		key, tag := string(r.Delivery().RoutingKey), r.Delivery().DeliveryTag
		if tag <= begun[key] {
			t.Fatalf("lane %s: %d began after %d", key, tag, begun[key])
		}
		begun[key] = tag
		inTurn++
		total++
		if tag <= lanes { // the first of its lane
			return r.Await(func(done func(error)) { ends = append(ends, done) })
		}
		return nil
	})
	for tag := range uint64(3 * lanes) {
		k.enterOne(t, tag+1, fmt.Sprint(tag%lanes))
	}
	if total != lanes || k.throttle.count() != 2*lanes {
		t.Fatalf("%d have begun, %d wait", total, k.throttle.count())
	}
	for _, end := range ends {
		end(nil)
	}
	for more := true; more; {
		inTurn = 0
		if more = clock.turn(); k.link.door.server.RunReady() {
			more = true
		}
		if inTurn > throttleTurnMax {
			t.Fatalf("%d messages began in one turn", inTurn)
		}
	}
	if total != 3*lanes || len(k.throttle.lanes) != 0 || k.throttle.count() != 0 {
		t.Errorf("%d messages have begun, %d wait in %d lanes", total, k.throttle.count(), len(k.throttle.lanes))
	}
}
