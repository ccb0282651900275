package amqpdoor

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/spool"
)

// A spooler is between the producers of one connection and its client. While the
// broker takes publishes and answers in time, the publishes go straight to it, and
// each call gets the broker's own answer. When the broker goes away, the publishes
// that it has not confirmed go to disk, and so do all new ones until it is back. The
// spooler confirms them when they are on disk. A publish that the broker does not
// answer in time also goes to disk, but it is sent again only after its channel has
// ended.
//
// The order is the order of the commits. While something on disk is unsent, new
// publishes go behind it. Before anything new is stored, the publishes that were sent
// and have no outcome are stored. When little is left on disk, new publishes wait in
// memory until it is sent: otherwise, under load, there would always be something on
// disk.
//
// The state machines are spoolTransitions and inFlightTransitions.
type spooler struct {
	link  *link
	store *spool.Spool
	state spoolState

	lost    []waiting    // sent, but their channel has ended: they come first
	sent    inFlightList // on a channel and not on disk; their calls wait
	overdue int          // how many of sent have no outcome in time
	pending []waiting    // to send or store at the end of this turn
	posted  bool         // a turn is posted

	fetched     []spool.Entry       // read from the store and not sent
	head        int                 // fetched[:head] is sent
	withChannel map[uint64]struct{} // numbers of the messages on disk that a channel has, or that are being moved to the rejected ones
	fresh       int                 // publishes in flight without an outcome that are not overdue
	octets      int                 // in memory of the messages from the store
	failed      int                 // messages to send again, since the store was last read from its beginning
	careful     uint64              // messages up to this number go one at a time, to find the one that closes the channel; 0 for none
	highest     uint64              // number of the last one sent

	timer   func() bool // stops the timer
	stored  uint64      // messages stored since the disk was last empty
	drained uint64      // messages that have left the disk since then
	expired uint64
	short   bool // the last read of the store failed because file descriptors ran out
	free    []*inFlight
	out     client.Outgoing // reused
}

// waiting is a publish whose call waits. The call owns its octets.
type waiting struct {
	p        *publisher.Publication
	done     publisher.Confirmer
	producer *client.Producer
	cause    error // why it has to be stored; nil if it was not sent
}

// These bounds limit what is read ahead from the store, so that memory does not grow
// with the disk, and the work of one turn.
const (
	inFlightMax = 1000
	octetsMax   = 4 << 20
	fetchCount  = 500
	fetchSize   = 1 << 20
	storeMax    = 2000    // messages stored in one turn
	storeSize   = 8 << 20 // and their octets
	// tailMax: if at most this many are left on disk, new publishes wait in memory.
	tailMax = 1000
	// spoolerTick is how often the spooler checks whether the broker takes publishes
	// again.
	spoolerTick = 50 * time.Millisecond
)

func newSpooler(l *link, store *spool.Spool) *spooler {
	return &spooler{link: l, store: store, withChannel: map[uint64]struct{}{}}
}

// send is the Send of the connection's producers.
func (x *spooler) send(producer *client.Producer, p *publisher.Publication, done publisher.Confirmer) error {
	if x.state == spoolClosed {
		return client.ErrClosed
	}
	if err := x.identify(p); err != nil {
		return err
	}
	x.look()
	w := waiting{p: p, done: done, producer: producer}
	if len(x.pending) == 0 && x.isDirect() && x.link.client.Clear() {
		err := x.direct(w)
		if !x.hasRoomLater(err) {
			return err
		}
	}
	if err := x.unable(); err != nil && !x.takes() {
		return err
	}
	x.pending = append(x.pending, w)
	x.soon()
	return nil
}

// unable says why the store takes nothing. It is nil if the store takes messages.
func (x *spooler) unable() error {
	if err := x.store.Err(); err != nil {
		return err
	}
	return x.store.Refuses(x.link.door.runtime.Now())
}

// foresee says why neither the broker nor the spool would take these publishes.
func (x *spooler) foresee(count, octets, size int) error {
	switch {
	case x.state == spoolClosed:
		return client.ErrClosed
	case x.takes() && !x.link.client.Fits(size):
		return client.ErrPublishMax
	case x.takes():
		return nil
	}
	if err := x.unable(); err != nil {
		return err
	}
	s := x.store.Stats()
	if s.Bytes+s.RejectedBytes+int64(octets+count*spool.MessageCost) > s.Max {
		return fmt.Errorf("%w: the spool of connection %q holds spool_max", spool.ErrFull, x.link.name)
	}
	return nil
}

// takes reports whether the broker would take a publish now, or once the publishes
// in flight have made room for it.
func (x *spooler) takes() bool {
	c := x.link.client
	if blocked, _ := c.Blocked(); blocked || !c.Ready() {
		return false
	}
	n, _ := c.Unconfirmed()
	return n > 0 || c.Clear()
}

// hasRoomLater reports whether a publish only waits because other publishes use all
// the memory for them. Some of those will get an outcome or be overdue.
func (x *spooler) hasRoomLater(err error) bool {
	if !errors.Is(err, client.ErrPublishMax) {
		return false
	}
	n, _ := x.link.client.Unconfirmed()
	return n > 0
}

// unsent counts the messages on disk that wait to be sent.
func (x *spooler) unsent() int { return x.store.Len() - len(x.withChannel) }

// fire makes a transition.
func (x *spooler) fire(e spoolEvent) { x.state = spoolTransitions[x.state][e] }

// look tells the machine about the broker's state.
func (x *spooler) look() {
	if !x.takes() {
		x.fire(spoolTakesNone)
		return
	}
	x.fire(spoolTakes)
	if x.careful != 0 {
		x.fire(spoolCulprit)
	} else {
		x.fire(spoolCleared)
	}
	if len(x.lost) > 0 || x.failed > 0 || x.unsent() > 0 {
		x.fire(spoolBacklog)
	} else {
		x.fire(spoolEmptied)
	}
}

// isDirect reports whether a publish may go straight to the broker. After the disk
// has failed for good, publishes may, although the order is then lost.
func (x *spooler) isDirect() bool {
	return x.state == spoolStraight || x.store.Err() != nil && len(x.lost) == 0 && x.takes()
}

// soon takes a turn after everything else of this one.
func (x *spooler) soon() {
	if !x.posted && x.state != spoolClosed {
		x.posted = x.link.door.runtime.Post(x.turn)
	}
}

// later takes another turn for the messages that are left to store, unless the next
// answer of the disk does so.
func (x *spooler) later() {
	if !x.store.Busy() {
		x.soon()
	}
}

// turn does the work that is due.
func (x *spooler) turn() {
	x.posted = false
	if x.state == spoolClosed {
		return
	}
	x.look()
	x.place()
	x.pump()
	if x.store.Flush(); x.store.Lags() {
		x.soon()
	}
	x.look()
	x.watch()
}

// place sends or stores what waits in memory: first the publishes whose channel has
// ended, then the overdue ones, then the new ones.
func (x *spooler) place() {
	if x.lost = x.storeAll(x.lost, storeMax); len(x.lost) > 0 {
		x.later()
		return
	}
	behind := x.state.isBehind() && x.unsent() <= tailMax && x.unable() == nil
	disk := len(x.pending) > 0 && !x.isDirect() && !behind
	if x.overdue > 0 || disk {
		done, err := x.storeSent()
		if !done {
			x.later()
			return
		}
		if err != nil && disk {
			x.refuse(err)
			return
		}
	}
	switch {
	case len(x.pending) == 0 || behind:
	case disk:
		if x.pending = x.storeAll(x.pending, storeMax); len(x.pending) > 0 {
			x.later()
		}
	default:
		x.sendPending()
	}
}

// refuse answers all new publishes with the reason why they cannot be stored.
func (x *spooler) refuse(err error) {
	list := x.pending
	x.pending = nil
	for _, w := range list {
		w.done.Confirmed(err)
	}
}

// sendPending sends what waited for the store to be empty.
func (x *spooler) sendPending() {
	list := x.pending
	x.pending = nil
	for i, w := range list {
		wait := !x.link.client.Clear()
		if !wait {
			err := x.direct(w)
			if wait = x.hasRoomLater(err); !wait && err != nil {
				w.done.Confirmed(err)
			}
		}
		if wait { // keep the order
			x.pending = append(list[i:len(list):len(list)], x.pending...)
			return
		}
	}
}

// direct sends a publish whose call waits.
func (x *spooler) direct(w waiting) error {
	f := x.newInFlight()
	f.waiting = w
	x.out = client.Outgoing{
		Exchange: w.p.Exchange, RoutingKey: w.p.RoutingKey, Mandatory: w.p.Mandatory,
		RawProperties: w.p.RawProperties, Body: w.p.Body, Lent: true, Group: w.p.Group(),
	}
	err := x.link.client.Publish(w.producer, &x.out, f)
	if err != nil {
		x.release(f)
		return err
	}
	f.took(inFlightSent, 0)
	return nil
}

func (x *spooler) log() *zerolog.Event {
	return x.link.door.log.Warn().Str("connection", x.link.name)
}

// watch comes back while something is on disk or waits.
func (x *spooler) watch() {
	if x.store.Empty() && len(x.pending) == 0 && len(x.lost) == 0 {
		if x.stored > 0 {
			x.stored = 0
			x.link.door.log.Info().Str("connection", x.link.name).Uint64("messages", x.drained).Msg("the spool is empty again")
		}
		return
	}
	if x.timer == nil {
		x.timer = x.link.door.runtime.After(spoolerTick, func() {
			x.timer = nil
			x.turn()
		})
	}
}

// began says that the spool is in use.
func (x *spooler) began(messages int) {
	x.stored += uint64(messages)
	if x.stored > uint64(messages) {
		return
	}
	x.drained = 0
	entry := x.log()
	if err := x.link.client.Err(); err != nil {
		entry = entry.Err(err)
	}
	if x.state == spoolAwaitWord {
		entry = entry.Str("reason", spoolSlow)
	}
	entry.Msg("publishes go to the spool")
}

// spoolSlow is the reason if the broker is connected but does not answer in time.
const spoolSlow = "the broker does not confirm within confirm_timeout"

// close stores the publishes without an outcome and releases the directory. Every
// message that was reported as stored is stored.
func (x *spooler) close() {
	if x.state == spoolClosed {
		return
	}
	list := append(x.lost, x.pending...)
	x.lost, x.pending = nil, nil
	for n := -1; len(list) != n; { // in steps, at the pace of the disk
		if n = len(list); x.store.Busy() && x.store.Sync() != nil {
			break
		}
		list = x.storeAll(list, len(list))
	}
	for _, w := range list {
		w.done.Confirmed(w.unknown(spool.ErrClosed))
	}
	x.fire(spoolClose)
	if err := x.store.Close(); err != nil {
		x.log().Err(err).Msg("the spool was not closed cleanly")
	}
}

// report is the spool's part of the server's status.
func (x *spooler) report() publisher.Status {
	st := x.store.Stats()
	s := publisher.Status{Kind: "spool", Name: x.link.name, Ready: st.FailedCause == nil, State: "empty"}
	if st.Messages > 0 {
		s.State = fmt.Sprintf("%d messages, %d octets", st.Messages, st.Bytes)
	}
	if st.Rejected > 0 {
		s.State += fmt.Sprintf(", %d aside", st.Rejected)
	}
	if x.state == spoolAwaitWord {
		s.Detail = spoolSlow
	}
	if x.short {
		s.Detail = "the messages on disk cannot be read, because file descriptors have run out: raise the limit of open files; reading is tried again"
	}
	if used := st.Bytes + st.RejectedBytes; used >= st.Max {
		s.Ready, s.Detail = false, spool.ErrFull.Error()
	}
	if st.Trouble != nil {
		s.Ready, s.Detail = false, st.Trouble.Error()+": publishes that need the disk are refused; the spool tries again, and goes on by itself when the disk has room or file descriptors are free"
	}
	if st.FailedCause != nil {
		s.State, s.Detail = "failed", st.FailedCause.Error()+": see the log, put the directory in order and start again"
	}
	return s
}
