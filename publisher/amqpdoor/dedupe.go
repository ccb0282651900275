package amqpdoor

import (
	"time"

	"zamqp/publisher"
	"zamqp/publisher/dedupe"
)

// A deduper prevents a consumer from handling two messages with the same id. See
// publisher.Dedupe.
type deduper struct {
	k       *consumer
	store   ids
	of      func(c *publisher.Call) []byte
	running map[dedupe.Key]struct{} // ids of the messages whose handlers run
	waiting []delivery              // messages with such an id
	posted  bool                    // flush was posted
	woken   bool                    // again will run, if no quiet time prevents it
	left    int                     // how many of those that wait again still has to look at
	flush   func()

	duplicates uint64 // messages that were acked and not handled
	without    uint64 // messages without an id
}

// Dedupe gives a consumer the store of the ids that it has handled. Call it before Link. The
// door closes the store.
func (d *Door) Dedupe(consumer string, store *dedupe.Store) { d.stores[consumer] = store }

// Each new id makes the store forget old ones. In addition, expire forgets up to expireMax at a
// time: again after expireSoon if there may be more, otherwise after expireEvery.
const (
	expireMax   = 2000
	expireSoon  = 100 * time.Millisecond
	expireEvery = time.Minute
)

func newDeduper(k *consumer, store ids) *deduper {
	d := &deduper{k: k, store: store, running: map[dedupe.Key]struct{}{}}
	d.of, _ = k.declared.Dedupe.Of() // the configuration has checked it
	d.flush = func() {
		d.posted = false
		store.Flush()
	}
	if store != (inDatabase{}) {
		d.expire()
	}
	return d
}

func (d *deduper) expire() {
	after := expireEvery
	if d.store.Expire(expireMax) {
		after = expireSoon
	}
	d.k.link.door.runtime.After(after, d.expire)
}

// key returns the key of the message's id; false if it has none.
func (d *deduper) key(c delivery) (dedupe.Key, bool) {
	id := d.of(c.Call)
	if len(id) == 0 {
		return dedupe.Key{}, false
	}
	return dedupe.Sum(id), true
}

// stops reports whether the message must not be handled now. If its id has been handled, the
// message is acked. If another message with this id is being handled, it waits for that one's
// outcome.
func (d *deduper) stops(c delivery) bool {
	key, ok := d.key(c)
	if !ok {
		if d.without++; d.without == 1 {
			d.k.link.door.log.Warn().Str("consumer", d.k.name).Str("key", d.k.declared.Dedupe.Key).Msg("a message has no id for dedupe: such messages are handled each time they come")
		}
		return false
	}
	if d.store.Has(key) {
		d.duplicates++
		m := c.Message()
		d.k.link.door.log.Debug().Str("consumer", d.k.name).Str("message_id", string(c.Request().MessageID())).Msg("a message with this id has been handled: it is acked")
		d.store.Await(c.sub, m.Epoch, m.DeliveryTag)
		d.k.drop(c)
		return true
	}
	if _, runs := d.running[key]; runs {
		d.waiting = append(d.waiting, c)
		return true
	}
	d.running[key] = struct{}{}
	return false
}

// over is called when a call has ended. If it has succeeded, its id is remembered, and its
// message is acked when that is on disk.
func (d *deduper) over(c delivery, succeeded bool) {
	m := c.Message()
	if c.Outcome().Duplicate {
		d.duplicates++
	}
	key, ok := d.key(c)
	switch {
	case !ok && succeeded:
		c.sub.ack(m.Epoch, m.DeliveryTag)
		return
	case !ok:
		return
	case succeeded:
		d.store.Add(key, c.sub, m.Epoch, m.DeliveryTag)
		if !d.posted {
			d.posted = true
			d.k.link.door.runtime.Post(d.flush)
		}
	}
	delete(d.running, key)
	switch {
	case d.left > 0: // some may have been looked at already
		d.left = len(d.waiting)
	case len(d.waiting) > 0 && !d.woken:
		d.woken = true
		d.k.link.door.runtime.Post(d.again)
	}
}

// again dispatches messages that have waited for others, in slices. While no handler may
// begin it does nothing: throttle.open calls it again.
func (d *deduper) again() {
	if d.k.link.door.quiet.isOn() {
		return
	}
	if d.left == 0 {
		d.left = len(d.waiting)
	}
	n := min(d.left, len(d.waiting), throttleTurnMax)
	waiting := d.waiting[:n:n]
	d.waiting = d.waiting[n:] // those that have to wait again are appended
	if d.left -= n; n == 0 {
		d.left = 0
	}
	if d.woken = d.left > 0; d.woken {
		d.k.link.door.server.InNextTurn(d.again)
	}
	for _, c := range waiting {
		if c.Message().Epoch != c.sub.epoch {
			d.k.drop(c) // the broker delivers it again
			continue
		}
		d.k.dispatch(c, false)
	}
}

// Stored acks a message whose id is on disk.
func (sub *subscription) Stored(epoch uint32, tag uint64) { sub.ack(epoch, tag) }

// measure appends the numbers of the store.
func (d *deduper) measure(dst []publisher.Metric) []publisher.Metric {
	labels := []publisher.Label{{Name: "connection", Value: d.k.link.name}, {Name: "consumer", Value: d.k.name}}
	dst = publisher.AppendMetrics(dst, labels,
		publisher.Metric{Name: "consumer_duplicates_total", Help: "Messages that were acked and not handled, because a message with the same id had been handled.", Value: float64(d.duplicates)},
		publisher.Metric{Name: "consumer_without_id_total", Help: "Messages without an id, which dedupe cannot tell apart.", Value: float64(d.without)})
	store, is := d.store.(*dedupe.Store)
	if !is {
		return dst
	}
	return publisher.AppendMetrics(dst, labels,
		publisher.Metric{Name: "consumer_ids", Help: "Ids that dedupe remembers in files.", Value: float64(store.Len())},
		publisher.Metric{Name: "consumer_ids_crowded_total", Help: "Ids that dedupe has forgotten before their time, because there were more than dedupe.max.", Value: float64(store.Crowded())})
}

// closeStores calls done when nothing waits for the disk any more.
func (d *Door) closeStores(done func()) {
	left := 1
	one := func() {
		if left--; left == 0 {
			done()
		}
	}
	for _, store := range d.stores {
		left++
		store.Idle(one)
		store.Flush()
	}
	one()
}
