package amqpdoor

import (
	"errors"

	"zamqp/amqpproto/client"
	"zamqp/amqpproto/journal"
	"zamqp/publisher/spool"
)

// storeAll adds publishes to the store. The publishes of one transaction go together:
// all of them are stored, or none. It returns those that are left for another turn, or
// until the disk has caught up.
func (x *spooler) storeAll(list []waiting, most int) (rest []waiting) {
	for size := 0; len(list) > 0 && most > 0 && size < storeSize && !x.store.Busy(); {
		n := 1
		for n < len(list) && list[n].p.Tx == list[0].p.Tx && list[0].p.Tx != nil {
			n++
		}
		group := list[:n:n]
		list = list[n:]
		most -= n
		messages := make([]spool.Message, n)
		for i := range group {
			messages[i] = group[i].message()
			size += len(messages[i].Body)
		}
		done := func(err error) {
			for i := range group {
				if w := &group[i]; w.cause != nil {
					w.done.Confirmed(w.unknown(err))
				} else {
					w.done.Confirmed(err)
				}
			}
			x.soon() // the new messages can be sent
		}
		if _, err := x.add(messages, done); err != nil {
			done(err)
		}
	}
	return list
}

// add gives messages to the store. It returns the number of the first one.
func (x *spooler) add(messages []spool.Message, done func(error)) (first uint64, err error) {
	first = x.store.Next()
	if err := x.store.Add(x.link.door.runtime.Now(), messages, done); err != nil {
		return 0, err
	}
	x.began(len(messages))
	return first, nil
}

// storeSent stores the publishes that a channel has and the broker has not answered.
// This happens before any later publish is stored. They are not sent again because of
// it. done is false if some are left for another turn. An error means that no more can
// be stored.
func (x *spooler) storeSent() (done bool, err error) {
	for most, size := storeMax, 0; x.sent.first != nil; {
		if most <= 0 || size >= storeSize || x.store.Busy() {
			return false, nil
		}
		group := []*inFlight{x.sent.first}
		for f := x.sent.first.next; f != nil && f.p.Tx == group[0].p.Tx && f.p.Tx != nil; f = f.next {
			group = append(group, f)
		}
		most -= len(group)
		messages := make([]spool.Message, len(group))
		for i, f := range group {
			messages[i] = f.message()
			size += len(f.p.Body)
		}
		first, err := x.add(messages, func(err error) { x.wrote(group, err) })
		if err != nil {
			x.tellOverdue(err)
			return true, err
		}
		for i, f := range group {
			f.entry.Number = first + uint64(i)
			x.withChannel[f.entry.Number] = struct{}{}
			x.highest = max(x.highest, f.entry.Number)
			f.hear(inFlightWritten, nil)
		}
	}
	return true, nil
}

// wrote is called when the disk has written what storeSent gave it, or has failed.
func (x *spooler) wrote(group []*inFlight, err error) {
	event := inFlightStored
	if err != nil {
		event = inFlightUnstored
	}
	for _, f := range group {
		f.hear(event, err)
	}
	x.soon()
}

// tellOverdue answers the calls whose publishes are overdue and cannot be stored:
// their outcome is unknown.
func (x *spooler) tellOverdue(err error) {
	for f := x.sent.first; f != nil; {
		next := f.next
		if f.late {
			f.hear(inFlightUnstored, err)
		}
		f = next
	}
}

func (w *waiting) message() spool.Message {
	m := spool.Message{
		Exchange: w.p.Exchange, RoutingKey: w.p.RoutingKey, Mandatory: w.p.Mandatory,
		RawProperties: w.p.RawProperties, Body: w.p.Body,
	}
	if w.producer != nil {
		m.Producer = w.producer.Name()
	}
	return m
}

// pump sends messages from the store, and reads the next ones.
func (x *spooler) pump() {
	if x.failed > 0 {
		x.failed = 0
		x.fetched, x.head = nil, 0
		x.store.Rewind()
	}
	window := x.state.window()
	if window == 0 {
		return
	}
	for ; x.head < len(x.fetched); x.head++ {
		e := &x.fetched[x.head]
		if _, up := x.withChannel[e.Number]; up || !x.store.Holds(e.Number) {
			*e = spool.Entry{}
			continue
		}
		if x.careful != 0 && e.Number > x.careful {
			if x.fresh > 0 {
				return
			}
			x.careful = 0
			x.soon()
			return
		}
		if x.fresh >= window || x.octets >= octetsMax || !x.link.client.Clear() || !x.launch(e) {
			return
		}
		*e = spool.Entry{}
	}
	x.fetched, x.head = x.fetched[:0], 0
	if x.unsent() > 0 {
		x.store.Fetch(fetchCount, fetchSize, x.read)
	} else if x.fresh == 0 {
		x.careful = 0
	}
}

func (x *spooler) read(entries []spool.Entry, err error) {
	if x.short = journal.IsShortage(err); x.short {
		return // watch will try again
	}
	if err != nil {
		x.log().Err(err).Msg("messages of the spool cannot be read any more")
	}
	if x.failed == 0 {
		x.fetched = append(x.fetched, entries...)
	}
	x.soon()
}

// launch sends one message of the store. It returns false if the message has to wait.
func (x *spooler) launch(e *spool.Entry) bool {
	raw, expired := aged(e.RawProperties, x.link.door.runtime.Now().Sub(e.Since))
	if expired {
		x.expired++
		x.gone(e.Number)
		return true
	}
	f := x.newInFlight()
	f.entry, f.alone = *e, x.careful != 0 && len(x.withChannel) == 0 && x.sent.count == 0
	x.out = client.Outgoing{Exchange: e.Exchange, RoutingKey: e.RoutingKey, Mandatory: e.Mandatory, RawProperties: raw, Body: e.Body, Lent: true}
	switch err := x.link.client.Publish(nil, &x.out, f); {
	case err == nil:
		f.took(inFlightOwned, len(e.Body))
		x.withChannel[e.Number] = struct{}{}
		x.highest = max(x.highest, e.Number)
		return true
	case x.hasRoomLater(err), errors.Is(err, client.ErrClosed):
		x.release(f)
		return false
	default: // no broker with this configuration could take it
		x.release(f)
		x.reject(e, err.Error())
		return true
	}
}

// gone forgets a message. If an older message has no outcome yet, and this one is far after
// it, the store records this one separately. Otherwise a restart would send all the messages
// in between again.
func (x *spooler) gone(number uint64) {
	x.drained++
	if number > x.store.Oldest()+inFlightMax {
		x.drop(number)
		return
	}
	delete(x.withChannel, number)
	x.store.Gone(number)
}

// drop forgets a message for good.
func (x *spooler) drop(number uint64) {
	delete(x.withChannel, number)
	if x.store.Drop(number) != nil { // the disk has failed
		x.store.Gone(number)
	}
}

// again lets a message be sent once more when the store is next read from its
// beginning.
func (x *spooler) again(number uint64) {
	delete(x.withChannel, number)
	x.failed++
}

// reject moves a message that the broker refused to the rejected ones.
func (x *spooler) reject(e *spool.Entry, reason string) {
	x.log().Str("exchange", e.Exchange).Str("routing_key", e.RoutingKey).Str("producer", e.Producer).Uint64("number", e.Number).
		Str("reason", reason).Msg("a spooled message was moved aside: see zamqp spool list")
	number := e.Number
	x.withChannel[number] = struct{}{} // must not be sent meanwhile
	x.store.Reject(x.link.door.runtime.Now(), e, reason, func(err error) {
		if err == nil {
			delete(x.withChannel, number)
		}
		x.soon()
	})
}
