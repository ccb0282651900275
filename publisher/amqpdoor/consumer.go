package amqpdoor

import (
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A consumer makes calls of the deliveries of one queue and of its quarantine, and
// settles each message by the outcome of its call.
type consumer struct {
	link       *link
	name       string
	declared   publisher.Consumer
	spec       client.ConsumerSpec
	apart      client.ConsumerSpec // of the quarantine; without a queue where there is none
	main       *intake
	quarantine *intake // nil without
	gate       gate
	trials     trials
	isolated   uint64             // messages that were moved to the quarantine
	retries    uint64             // failed attempts that are followed by another
	deaths     [4]uint64          // by reason, as in reasons
	unread     uint64             // messages that no handler could get
	condemned  bool               // one was given up by what its queue counts
	held       map[*held]struct{} // failed messages that wait here for their next attempt
	known      *attempts          // of messages that went back to the queue
	paused     bool
	stopped    bool
}

// An intake is one incarnation of a consumer at the broker: the sink of its
// deliveries and the door of the calls made of them.
type intake struct {
	k       *consumer
	machine *client.Consumer
	message publisher.Message      // reused: SetMessage copies it
	epoch   uint32                 // of the channel that the last delivery came by
	inHand  int                    // of this epoch: delivered and not settled
	owed    int                    // redeliveries to come of what was in hand when the last epoch ended
	losses  int                    // channels that were lost
	guesses int                    // redelivered messages that may still be taken for those of an ended process
	moves   map[*handover]struct{} // by evidence, of this epoch, that are not over
}

// start consumes.
func (k *consumer) start() {
	k.main = &intake{k: k}
	exact := k.link.door.isExact()
	if !exact {
		if k.main.guesses = int(k.spec.Prefetch); k.main.guesses == 0 {
			k.main.guesses = guessMax
		}
	}
	k.main.machine = k.link.client.Consume(k.spec, k.main)
	if len(k.apart.Queues) > 0 {
		k.quarantine = &intake{k: k}
		if !exact {
			k.quarantine.guesses = 1 // its prefetch
		}
		k.quarantine.machine = k.link.client.Consume(k.apart, k.quarantine)
		k.leaveSuspects()
	}
}

// A delivery is the call of a message, with the subscription that brought it.
type delivery struct {
	*publisher.Call
	in *intake
}

// Deliver makes a call of a delivery.
func (in *intake) Deliver(d *client.Delivery) {
	k := in.k
	if in.epoch != d.Epoch {
		in.begin(d.Epoch)
	}
	in.inHand++
	if k.stopped && !k.declared.NoAck {
		in.settled(d.Epoch)
		in.machine.Nack(d.Epoch, d.Tag, true)
		return
	}
	in.message = publisher.Message{
		Connection: k.link.name, Consumer: k.name, ConsumerTag: k.name, Epoch: d.Epoch, DeliveryTag: d.Tag,
		Redelivered: d.Redelivered, Exchange: d.Exchange, RoutingKey: d.RoutingKey,
		Properties: d.RawProperties, Body: d.Body, Owned: d.Owned, Reply: k.link.reply, Queue: in.queue(),
	}
	in.message.History.Quarantined = in == k.quarantine
	c := k.link.door.server.NewCall()
	err := c.SetMessage(&in.message)
	in.message.Body = nil // which may be large
	if d.Fault != nil {
		err = d.Fault
	}
	if k.declared.AutoAck {
		in.settled(d.Epoch)
		in.machine.Ack(d.Epoch, d.Tag)
	}
	if err != nil {
		in.unread(c, err)
		return
	}
	if (d.Redelivered || in == k.quarantine) && in.diverted(c) {
		k.link.door.server.Discard(c)
		return
	}
	k.gate.enter(delivery{c, in})
}

// queue is the name of the queue that the message is one of; one in the quarantine
// is still one of the queue that it came from.
func (in *intake) queue() string {
	if in.k.declared.Queue != "" {
		return in.k.declared.Queue
	}
	return in.machine.Queue()
}

// begin starts a new epoch: the channel is another one than before. What was in
// hand comes again, and it is no sign of a crash that it does; what has not been
// begun is not to be handled twice.
func (in *intake) begin(epoch uint32) {
	if in.epoch != 0 {
		in.losses++
		in.guesses = 0 // what comes again was in our own hands
	}
	in.owed += in.inHand
	in.epoch, in.inHand = epoch, 0
	for h := range in.moves {
		h.abandon()
	}
	in.k.gate.forget(in)
	for w := range in.k.held {
		if w.in == in {
			in.k.known.put(w.hash, w.untold)
			w.drop()
			in.k.gate.free(w.lane, w.in, &w.message)
		}
	}
}

// Done settles the message by the outcome of its call.
func (in *intake) Done(c *publisher.Call) {
	k := in.k
	m, outcome := c.Message(), c.Outcome()
	k.over(delivery{c, in})
	switch outcome.Settlement {
	case publisher.SettleAck:
		in.ack(m.Epoch, m.DeliveryTag)
	case publisher.SettleDeadLetter:
		in.giveUp(c, outcome.Reason)
	case publisher.SettleRetry:
		if in.retry(c) {
			return // it keeps its lane
		}
	}
	k.gate.leave(delivery{c, in})
}

func (in *intake) ack(epoch uint32, tag uint64) {
	if !in.isFinal() {
		in.settled(epoch)
		in.machine.Ack(epoch, tag)
	}
}

// reject gives the message to the queue's dead-letter exchange. It is
// basic.reject, which a quorum queue counts as a failure.
func (in *intake) reject(epoch uint32, tag uint64, requeue bool) {
	if !in.isFinal() {
		in.settled(epoch)
		in.machine.Reject(epoch, tag, requeue)
	}
}

// handBack gives the message back for reasons that are not its own.
func (in *intake) handBack(epoch uint32, tag uint64) {
	if !in.isFinal() {
		in.settled(epoch)
		in.machine.Nack(epoch, tag, true)
	}
}

// isFinal reports whether messages are settled before they are handled.
func (in *intake) isFinal() bool { return in.k.declared.NoAck || in.k.declared.AutoAck }

func (in *intake) settled(epoch uint32) {
	if epoch == in.epoch {
		in.inHand--
	}
}

// Pause stops the deliveries. A queue that ends with its last consumer goes on to
// be consumed, and its messages wait here.
func (k *consumer) Pause() {
	if k.paused || k.stopped {
		return
	}
	k.paused = true
	if k.declared.AutoDelete {
		return
	}
	for _, in := range k.intakes() {
		in.machine.Pause()
		// What is on its way is handed back unseen, and is no sign of a crash when it
		// comes again.
		in.owed += int(k.spec.Prefetch)
	}
	if k.leaves() {
		k.giveBack()
	}
}

// leaves reports whether the pause ends with the channel, behind the calls that
// run: nothing may be begun or wait here meanwhile.
func (k *consumer) leaves() bool {
	return k.paused && !k.declared.AutoDelete && k.main.machine.IsSole()
}

// giveBack hands back what waits here, for its turn or for another attempt.
func (k *consumer) giveBack() {
	k.gate.empty()
	for w := range k.held {
		k.known.put(w.hash, w.untold)
		w.in.handBack(w.message.Epoch, w.message.DeliveryTag)
		w.drop()
		k.gate.free(w.lane, w.in, &w.message)
	}
}

// Resume undoes Pause.
func (k *consumer) Resume() {
	if !k.paused || k.stopped {
		return
	}
	k.paused = false
	for _, in := range k.intakes() {
		in.machine.Resume()
	}
	k.gate.pump()
	k.trials.pump()
}

// IsPaused reports whether Pause was called last.
func (k *consumer) IsPaused() bool { return k.paused }

func (k *consumer) intakes() []*intake {
	if k.quarantine == nil {
		return []*intake{k.main}
	}
	return []*intake{k.main, k.quarantine}
}

// stop cancels the consumer, and then gives back what waits here: the other way
// round it would come again.
func (k *consumer) stop(done func()) {
	k.stopped = true
	intakes := k.intakes()
	left := len(intakes)
	for _, in := range intakes {
		in.machine.Cancel(func() {
			if left--; left == 0 {
				done()
			}
		})
	}
	k.giveBack()
}

func (k *consumer) report() publisher.Status {
	s := publisher.Status{Kind: "consumer", Name: k.name}
	m := k.main.machine
	if k.quarantine != nil && m.State() == client.Up {
		m = k.quarantine.machine
	}
	s.State, s.Ready = m.State().String(), m.State() == client.Up || m.State() == client.Paused
	if err := m.Err(); err != nil {
		s.Detail = err.Error()
	}
	if k.paused && (s.Ready || m.State() == client.AwaitPauseOk) {
		s.State, s.Ready = "paused", true
	}
	return s
}
