package amqpdoor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// An election decides which process makes the ticks of one clock. All processes consume a queue
// with x-single-active-consumer, so the broker gives its messages to only one of them: the
// leader. A process learns that it is the leader only when a message comes. So each process sends
// messages to the queue, and the one to which its own message comes back is the leader.
//
// The messages carry the state of the ticks: see tickRecord. The leader keeps the newest state
// unacked. When it ends, the broker gives that message to the next leader.
//
// The leader claims each tick: it sends the state in which the tick has begun, and begins it when
// that message has come back. A process that is no longer the leader, and does not know it yet,
// gets nothing back, so it cannot begin a tick.
type election struct {
	link      *link
	clock     string
	spec      client.ConsumerSpec
	candidate publisher.Candidate
	consumer  *client.Consumer
	producer  *client.Producer
	self      []byte // this process, in the messages

	active  bool // the broker gives this process messages: one has come on this channel
	leads   bool
	after   uint64 // only an own message with a higher number makes this process the leader
	held    held
	known   tickState
	before  tickState // known before the claim
	claim   time.Time // the tick that was claimed and not granted yet; zero is none
	claimed uint64    // the number of the message that carries the claim
	granted uint64    // the version of this process's last claim that was granted
	running time.Time // the granted tick that runs; zero is none
	ended   time.Time // the last granted tick that is over

	// The last message of this process. Only one at a time is on its way, so its body can be
	// lent.
	out      client.Outgoing
	body     []byte
	number   uint64
	losses   int  // channels that the consumer has lost
	sentAt   int  // losses when it was sent
	sent     bool // it is on its way: it has no outcome yet
	returned bool // it came back
	dirty    bool // another one is to follow
	retry    bool // it failed, and is sent again in a moment

	due   time.Time   // when turn has something to do
	armed time.Time   // when the timer runs; zero is never
	stop  func() bool // stops the timer

	unread  int    // messages in a row that are not the server's
	leaving func() // called when the process has left the queue; nil until Stop
	left    bool
}

// held is the message with the newest state. It stays unacked until a newer one has come.
type held struct {
	epoch   uint32
	tag     uint64 // 0 is none
	version uint64
}

const (
	// refreshAfter is the pause between the messages of a process. The leader replaces the
	// message that it holds, before the broker's consumer_timeout (30 minutes) ends its channel.
	// The messages of the others repair a queue that somebody has purged.
	refreshAfter = time.Minute
	// returnWithin is how long a message of the leader may need to come back after its confirm.
	returnWithin = 10 * time.Second
	// resendAfter is the pause after a message that could not be sent.
	resendAfter = time.Second
	// leaveWithin is how long a process that stops waits for its last message.
	leaveWithin = 2 * time.Second
	// electionPrefetch has room for other messages beside the one that is held.
	electionPrefetch = 16
)

// Election returns an election for the ticks of a clock, by a queue on a connection, which must
// be linked.
func (d *Door) Election(connection, clock, queue string) (publisher.Election, error) {
	l := d.links[connection]
	if l == nil {
		return nil, fmt.Errorf("clock.%s.leader = %q: this connection is not open", clock, connection)
	}
	host, _ := os.Hostname() // only people read it
	e := &election{link: l, clock: clock, self: fmt.Appendf(nil, "%s:%d:%08x", host, os.Getpid(), rand.Uint32()), after: 1 << 63}
	e.spec = client.ConsumerSpec{Name: queue, Prefetch: electionPrefetch, Topology: client.Topology{Queues: []client.Queue{{Name: queue, Durable: true,
		Args: publisher.Table{"x-queue-type": publisher.QueueQuorum, "x-single-active-consumer": true}}}}}
	properties := amqpproto.Properties{ContentType: []byte("text/plain"), DeliveryMode: 2, Type: []byte("clock")}
	properties.SetFlags()
	raw, err := properties.Append(nil)
	if err != nil {
		return nil, err
	}
	e.out = client.Outgoing{RoutingKey: queue, Mandatory: true, Lent: true, RawProperties: raw}
	d.elections = append(d.elections, e)
	return e, nil
}

// Queue is the name of the queue.
func (e *election) Queue() string { return e.spec.Name }

// Trouble says why no message can come.
func (e *election) Trouble() string {
	switch {
	case e.consumer == nil || e.consumer.State() == client.Up:
		return ""
	case e.consumer.Err() != nil:
		return e.consumer.Err().Error()
	case e.link.client.Err() != nil:
		return e.link.client.Err().Error()
	}
	return e.consumer.State().String()
}

// Stand consumes the queue, and sends the first message.
func (e *election) Stand(c publisher.Candidate) {
	e.candidate = c
	if e.consumer != nil {
		return
	}
	e.producer = e.link.client.Produce(client.ProducerSpec{Name: e.spec.Name, Topology: e.spec.Topology})
	e.consumer = e.link.client.Consume(e.spec, e)
	e.publish()
}

// Claim sends the state in which the tick has begun.
func (e *election) Claim(at time.Time) {
	e.before, e.claim = e.known, at
	e.known = tickState{version: e.known.version + 1, begun: true, at: at}
	e.publish()
}

// Over sends the state in which the tick is over or, if it did not run, has never begun.
func (e *election) Over(at time.Time, ran bool) {
	e.running = time.Time{}
	if ran {
		e.ended = at
	}
	if e.leads {
		e.settleTick(at, ran)
		e.publish()
	}
	e.tryLeave()
}

func (e *election) settleTick(at time.Time, ran bool) {
	if !e.known.begun || !e.known.at.Equal(at) {
		return
	}
	version := e.known.version + 1
	if ran {
		e.known.begun = false
	} else {
		e.known = e.before
	}
	e.known.version = version
}

// publish sends a message with the state. If one is on its way, it sends the new one after that.
func (e *election) publish() {
	if e.sent {
		e.dirty = true
		return
	}
	if e.left {
		return
	}
	e.number++
	r := tickRecord{process: e.self, number: e.number}
	if e.leads {
		r.tickState = e.known
		if !e.claim.IsZero() {
			e.claimed = e.number
		}
	}
	e.body = r.append(e.body[:0])
	e.out.Body = e.body
	e.sent, e.returned, e.dirty, e.retry, e.sentAt = true, false, false, false, e.losses
	e.wait(refreshAfter)
	if err := e.link.client.Publish(e.producer, &e.out, e); err != nil {
		e.Confirmed(err)
	}
}

// Lends returns false for a message that was sent before the channel was lost, so that it is not
// sent again: another process may be the leader when it arrives.
func (e *election) Lends() bool { return e.sentAt == e.losses }

// Confirmed is called with the outcome of the message.
func (e *election) Confirmed(err error) {
	e.sent = false
	switch {
	case err != nil:
		e.number++ // if the message still arrives, it is not the one that is waited for
		e.retry = true
		e.wait(resendAfter)
	case e.leads && !e.returned:
		e.wait(returnWithin)
	}
	e.settle()
}

// wait lets turn run after d. The timer is set again only if it would run too late.
func (e *election) wait(d time.Duration) {
	now := e.link.door.server.Now()
	e.due = now.Add(d)
	if !e.armed.IsZero() && !e.armed.After(e.due) {
		return
	}
	if e.stop != nil {
		e.stop()
	}
	e.armed = e.due
	e.stop = e.link.door.runtime.After(d, e.turn)
}

// turn sends the next message when it is time.
func (e *election) turn() {
	e.armed, e.stop = time.Time{}, nil
	if now := e.link.door.server.Now(); now.Before(e.due) {
		e.wait(e.due.Sub(now))
		return
	}
	if e.leads && !e.sent && !e.returned && !e.retry {
		e.dismiss("its messages do not come back: the broker gives them to another process")
		if e.held.tag != 0 {
			e.consumer.Nack(e.held.epoch, e.held.tag, true)
			e.held = held{}
		}
	}
	e.publish()
	e.tryLeave()
}

// Deliver takes a message. It shows that this process is the active consumer.
func (e *election) Deliver(d *client.Delivery) {
	var r tickRecord
	if err := r.parse(d.Body); err != nil {
		if e.unread++; e.unread == 1 {
			e.link.door.log.Warn().Str("clock", e.clock).Str("queue", e.spec.Name).Msg("a message in the queue of a clock is not the server's own: it is dropped; nobody else may publish there")
		}
		e.consumer.Ack(d.Epoch, d.Tag)
		return
	}
	e.unread = 0
	own := bytes.Equal(r.process, e.self)
	current := own && r.number == e.number
	if r.begun && !current && !e.believes(&r, own, d.Redelivered) {
		e.consumer.Ack(d.Epoch, d.Tag)
	} else {
		e.hold(d, r.version)
		if r.version > e.known.version {
			e.learn(r.tickState)
		}
	}
	if !e.active {
		e.active, e.after = true, e.number
		e.publish()
	}
	if current && !e.returned {
		e.returned = true
		e.settle()
	}
}

// believes reports whether the tick that a message claims may have begun. The process that claims
// it begins it only when it gets the message. So it has not begun if no process has got the
// message before.
func (e *election) believes(r *tickRecord, own, redelivered bool) bool {
	if own {
		return r.version <= e.granted
	}
	return redelivered
}

// hold keeps a message unacked if it has the newest state, and acks the one before. Otherwise it
// acks this one.
func (e *election) hold(d *client.Delivery, version uint64) {
	if e.held.tag != 0 && e.held.epoch == d.Epoch {
		if version < e.held.version {
			e.consumer.Ack(d.Epoch, d.Tag)
			return
		}
		e.consumer.Ack(e.held.epoch, e.held.tag)
	}
	e.held = held{d.Epoch, d.Tag, version}
}

// learn takes the state that another process has left. It may come late: a leader may be
// dismissed, and then end its tick.
func (e *election) learn(s tickState) {
	e.known, e.claim = s, time.Time{}
	if e.leads {
		e.candidate.Elected(e.last())
	}
}

// last returns the state for the candidate. A tick that this process has begun is not one to
// repeat.
func (e *election) last() publisher.LastTick {
	if e.known.begun && e.known.at.Equal(e.ended) {
		e.settleTick(e.ended, true)
	}
	return publisher.LastTick{At: e.known.at, Begun: e.known.begun && !e.known.at.Equal(e.running)}
}

// settle goes on when the last message has an outcome or has come back.
func (e *election) settle() {
	if e.sent {
		return
	}
	if e.returned && e.active {
		if !e.leads && e.number > e.after {
			e.win()
		} else if e.leads && !e.claim.IsZero() && e.claimed == e.number {
			e.grant()
		}
		if !e.dirty && !e.sent {
			e.wait(refreshAfter)
		}
	}
	if e.dirty && e.active && !e.sent && !e.retry {
		e.publish()
	}
	e.tryLeave()
}

// win makes this process the leader: everything that was in the queue before its message has
// come.
func (e *election) win() {
	e.leads = true
	if e.known.version == 0 {
		e.known = tickState{version: 1, at: e.link.door.server.Now().Round(0)}
	}
	last := e.last()
	e.link.door.log.Info().Str("clock", e.clock).Str("queue", e.spec.Name).Bytes("process", e.self).Time("last_tick", last.At).Msg("this process is the leader of a clock: it ticks")
	e.dirty = true // so that the message that is held does not grow old
	e.candidate.Elected(last)
}

func (e *election) grant() {
	at := e.claim
	e.claim, e.granted, e.running = time.Time{}, e.known.version, at
	e.candidate.Granted(at)
}

// Lost is called when the consumer has lost its place at the queue.
func (e *election) Lost() {
	e.losses++
	e.held = held{}
	why := "the connection or the channel has ended"
	if e.leaving != nil {
		why = "the server drains"
	}
	e.dismiss(why)
	if !e.left {
		e.wait(resendAfter)
	}
}

// dismiss makes this process a candidate that waits.
func (e *election) dismiss(why string) {
	e.active, e.after = false, 1<<63
	if !e.claim.IsZero() {
		e.claim, e.known = time.Time{}, e.before
	}
	if !e.leads {
		return
	}
	e.leads = false
	e.link.door.log.Info().Str("clock", e.clock).Str("queue", e.spec.Name).Bytes("process", e.self).Str("reason", why).Msg("this process is no longer the leader of a clock")
	e.candidate.Dismissed()
}

// leave ends the candidacy. It calls done when another process can be the leader. It waits for a
// tick that runs, because the next leader would repeat it.
func (e *election) leave(done func()) {
	e.leaving = done
	if e.consumer == nil {
		e.left = true
		done()
		return
	}
	e.link.door.runtime.After(leaveWithin, func() {
		if e.running.IsZero() {
			e.goAway()
		}
	})
	e.tryLeave()
}

// tryLeave leaves, unless something is on its way that the next leader should know.
func (e *election) tryLeave() {
	if e.leaving == nil || e.left {
		return
	}
	if !e.running.IsZero() || e.leads && (!e.claim.IsZero() || e.sent || e.dirty || !e.returned) {
		return
	}
	e.goAway()
}

// goAway closes the channel. All messages go back to the queue at once, and the broker gives
// them to the next process.
func (e *election) goAway() {
	if e.left {
		return
	}
	e.left = true
	if e.stop != nil {
		e.stop()
	}
	e.consumer.Cancel(e.leaving)
	if e.held.tag != 0 {
		e.consumer.Nack(e.held.epoch, e.held.tag, true)
	}
}
