package amqpdoor

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/spool"
)

// A spooler stands between the producers of one connection and its client. While
// the broker takes publishes they go straight to it, and their calls hear its
// own word for each. What it has not confirmed when it goes away, and all that
// comes until it is back, goes to disk, and is confirmed when it is there.
//
// The order stays that of the commits: as long as something on disk has not been
// sent, what comes goes behind it. When little is left, it waits for that in
// memory, or under load there would always be something on disk.
type spooler struct {
	link  *link
	store *spool.Spool
	ids   messageIDs

	lost    []waiting // were sent, and the connection ended: they come first
	pending []waiting // to be sent or stored at the end of this turn
	posted  bool      // a turn is to come

	fetched  []spool.Entry // read from the store and not sent
	head     int           // fetched[:head] has been
	flights  int           // sent from the store and without an outcome
	octets   int           // that they hold
	again    bool          // some failed in a way that may pass: all are read once more
	careful  uint64        // up to this number one at a time, to find the guilty one
	highest  uint64        // number of the last one sent
	retry    func() bool   // stops the timer
	draining bool          // said that something is on disk
	drained  uint64        // messages that have left since then
	closing  bool
	expired  uint64
	free     []*flight
	out      client.Outgoing // reused: the client copies all of it
}

// waiting is a publish whose call waits; its octets belong to the call.
type waiting struct {
	p        *publisher.Publication
	done     publisher.Confirmer
	producer *client.Producer
}

// Bounds of what is read from the store and under way, so that memory does not
// grow with what is on disk.
const (
	flightsMax = 1000
	octetsMax  = 4 << 20
	fetchCount = 500
	fetchSize  = 1 << 20
	// tailMax is how much may be left on disk for new publishes to wait in memory.
	tailMax = 1000
	// spoolerTick is how soon it is noticed that the broker takes publishes again.
	spoolerTick = 50 * time.Millisecond
)

func newSpooler(l *link, store *spool.Spool) *spooler {
	return &spooler{link: l, store: store, ids: newMessageIDs()}
}

// send is the Send of the connection's producers.
func (x *spooler) send(producer *client.Producer, p *publisher.Publication, done publisher.Confirmer) error {
	if x.closing {
		return client.ErrClosed
	}
	if err := x.ids.give(p); err != nil {
		return err
	}
	w := waiting{p, done, producer}
	if len(x.pending) == 0 && x.isDirect() {
		return x.direct(w)
	}
	if err := x.store.Err(); err != nil && !x.takes() {
		return err
	}
	x.pending = append(x.pending, w)
	x.soon()
	return nil
}

// takes reports whether the broker would take a publish now.
func (x *spooler) takes() bool {
	blocked, _ := x.link.client.Blocked()
	return x.link.client.Ready() && !blocked
}

// unsent is how many messages on disk wait to be sent.
func (x *spooler) unsent() int { return x.store.Len() - x.flights }

// isDirect reports whether a publish may go straight to the broker. With a disk
// that has failed, the order is what can be done without.
func (x *spooler) isDirect() bool {
	return len(x.lost) == 0 && x.takes() && (!x.again && x.unsent() <= 0 || x.store.Err() != nil)
}

// soon takes a turn after everything else of this one.
func (x *spooler) soon() {
	if !x.posted && !x.closing {
		x.posted = x.link.door.runtime.Post(x.turn)
	}
}

// turn does what is due.
func (x *spooler) turn() {
	x.posted = false
	if x.closing {
		return
	}
	lost := x.lost
	x.lost = nil
	x.storeAll(lost)
	switch {
	case len(x.pending) == 0:
	case x.isDirect():
		x.sendPending()
	case x.takes() && x.unsent() <= tailMax && x.store.Err() == nil:
		// They wait for the little that is left on disk.
	default:
		x.storePending()
	}
	x.pump()
	x.store.Flush()
	x.watch()
}

// sendPending sends what waited for the store to be empty.
func (x *spooler) sendPending() {
	list := x.pending
	x.pending = nil
	for i, w := range list {
		if err := x.direct(w); err != nil {
			if errors.Is(err, client.ErrPublishMax) { // later, in this order
				x.pending = append(list[i:len(list):len(list)], x.pending...)
				return
			}
			w.done.Confirmed(err)
		}
	}
}

func (x *spooler) storePending() {
	list := x.pending
	x.pending = nil
	x.storeAll(list)
}

// storeAll adds publishes to the store, those of one transaction together: all
// of them will be there or none.
func (x *spooler) storeAll(list []waiting) {
	now := x.link.door.runtime.Now()
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].p.Tx == list[0].p.Tx && list[0].p.Tx != nil {
			n++
		}
		group := list[:n:n]
		list = list[n:]
		messages := make([]spool.Message, n)
		for i, w := range group {
			messages[i] = spool.Message{
				Producer: w.name(), Exchange: w.p.Exchange, RoutingKey: w.p.RoutingKey, Mandatory: w.p.Mandatory,
				RawProperties: w.p.RawProperties, Body: w.p.Body,
			}
		}
		done := func(err error) {
			for _, w := range group {
				w.done.Confirmed(err)
			}
			x.soon() // they can be sent
		}
		if err := x.store.Add(now, messages, done); err != nil {
			done(err)
			continue
		}
		x.began()
	}
}

func (w *waiting) name() string {
	if w.producer == nil {
		return ""
	}
	return w.producer.Name()
}

// direct sends a publish whose call waits.
func (x *spooler) direct(w waiting) error {
	f := x.flight()
	f.waiting = w
	x.out = client.Outgoing{
		Exchange: w.p.Exchange, RoutingKey: w.p.RoutingKey, Mandatory: w.p.Mandatory,
		RawProperties: w.p.RawProperties, Body: w.p.Body,
	}
	err := x.link.client.Publish(w.producer, &x.out, f)
	if err != nil {
		x.release(f)
	}
	return err
}

// pump sends from the store, and reads what comes next.
func (x *spooler) pump() {
	if x.again && x.flights == 0 {
		x.again = false
		x.fetched, x.head = nil, 0
		x.store.Rewind()
	}
	if x.again || !x.takes() {
		return
	}
	for x.head < len(x.fetched) && x.flights < flightsMax && x.octets < octetsMax {
		e := &x.fetched[x.head]
		if e.Number <= x.careful && x.flights > 0 {
			return
		}
		if !x.launch(e) {
			return
		}
		x.fetched[x.head] = spool.Entry{}
		x.head++
	}
	if x.head == len(x.fetched) {
		x.fetched, x.head = x.fetched[:0], 0
		x.store.Fetch(fetchCount, fetchSize, x.read)
	}
}

func (x *spooler) read(entries []spool.Entry, err error) {
	if err != nil {
		x.log().Err(err).Msg("messages of the spool cannot be read any more")
	}
	if !x.again {
		x.fetched = append(x.fetched, entries...)
	}
	x.soon()
}

// launch sends one message of the store; false if it has to wait.
func (x *spooler) launch(e *spool.Entry) bool {
	raw, expired := aged(e.RawProperties, x.link.door.runtime.Now().Sub(e.Since))
	if expired {
		x.expired++
		x.store.Gone(e.Number)
		return true
	}
	f := x.flight()
	f.entry, f.alone = *e, e.Number <= x.careful
	x.out = client.Outgoing{Exchange: e.Exchange, RoutingKey: e.RoutingKey, Mandatory: e.Mandatory, RawProperties: raw, Body: e.Body}
	switch err := x.link.client.Publish(nil, &x.out, f); {
	case err == nil:
		x.flights++
		x.octets += len(e.Body)
		x.highest = max(x.highest, e.Number)
		return true
	case errors.Is(err, client.ErrPublishMax), errors.Is(err, client.ErrClosed):
		x.release(f)
		return false
	default: // no broker of this configuration could take it
		x.release(f)
		x.aside(e, err.Error())
		return true
	}
}

// aside keeps a message that the broker would not have.
func (x *spooler) aside(e *spool.Entry, reason string) {
	x.log().Str("exchange", e.Exchange).Str("routing_key", e.RoutingKey).Str("producer", e.Producer).Uint64("number", e.Number).
		Str("reason", reason).Msg("a spooled message is put aside: see zamqp spool list")
	x.store.PutAside(x.link.door.runtime.Now(), e, reason, func(error) { x.soon() })
}

func (x *spooler) log() *zerolog.Event {
	return x.link.door.log.Warn().Str("connection", x.link.name)
}

// watch comes back while something is on disk or waits.
func (x *spooler) watch() {
	if x.store.Empty() && len(x.pending) == 0 && len(x.lost) == 0 {
		if x.draining {
			x.draining = false
			x.link.door.log.Info().Str("connection", x.link.name).Uint64("messages", x.drained).Msg("the spool is empty again")
		}
		return
	}
	if x.retry == nil {
		x.retry = x.link.door.runtime.After(spoolerTick, func() {
			x.retry = nil
			x.turn()
		})
	}
}

// began says that the spool is in use.
func (x *spooler) began() {
	if x.draining {
		return
	}
	x.draining, x.drained = true, 0
	entry := x.log()
	if err := x.link.client.Err(); err != nil {
		entry = entry.Err(err)
	}
	entry.Msg("publishes go to the spool")
}

// close stores what has no outcome and gives the directory free. What was told
// to be stored is.
func (x *spooler) close() {
	if x.closing {
		return
	}
	list := append(x.lost, x.pending...)
	x.lost, x.pending = nil, nil
	x.storeAll(list)
	x.closing = true
	if err := x.store.Close(); err != nil {
		x.log().Err(err).Msg("the spool could not be closed in good order")
	}
}

// report is a part of the server's state.
func (x *spooler) report() publisher.Status {
	st := x.store.Stats()
	s := publisher.Status{Kind: "spool", Name: x.link.name, Ready: st.FailedCause == nil, State: "empty"}
	if st.Messages > 0 {
		s.State = fmt.Sprintf("%d messages, %d octets", st.Messages, st.Bytes)
	}
	if st.Aside > 0 {
		s.State += fmt.Sprintf(", %d aside", st.Aside)
	}
	if used := st.Bytes + st.AsideBytes; used >= st.Max {
		s.Ready, s.Detail = false, spool.ErrFull.Error()
	}
	if st.FailedCause != nil {
		s.State, s.Detail = "failed", st.FailedCause.Error()
	}
	return s
}

// isRefused reports whether the broker has said no to this very message. An error
// of the channel is said to all that were on it, so it counts for one that was
// alone.
func isRefused(alone bool, err error) bool {
	var returned *client.ReturnError
	var closed *amqpproto.ChannelError
	return errors.As(err, &returned) || errors.Is(err, client.ErrNacked) ||
		errors.As(err, &closed) && alone
}
