package amqpdoor

import (
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/crashpoint"
)

// A consumer makes a call of each delivery of one queue and of its quarantine, and settles
// the message by the outcome of the call.
type consumer struct {
	link       *link
	name       string
	declared   publisher.Consumer
	spec       client.ConsumerSpec
	apart      client.ConsumerSpec // of the quarantine; without a queue if there is no quarantine
	main       *subscription
	quarantine *subscription // nil if there is none
	throttle   throttle
	trials     trials
	isolated   uint64                     // messages that were moved to the quarantine
	retries    uint64                     // failed attempts after which there is another one
	deaths     [4]uint64                  // by reason, as in reasons
	unread     uint64                     // messages that no handler could get
	condemned  bool                       // a message was given up because of its queue's count
	delayed    map[*delayedRetry]struct{} // failed messages that wait here for their next attempt
	dedupe     *deduper                   // nil unless ids are remembered
	known      *attempts                  // of messages that went back to the queue
	paused     bool
	stopped    bool
}

// A subscription is one basic.consume of a consumer, for its queue or for its quarantine.
// It gets the deliveries, and hears the end of the calls made of them.
type subscription struct {
	k       *consumer
	machine *client.Consumer
	message publisher.Message  // reused: SetMessage copies it
	epoch   uint32             // of the channel of the last delivery
	inHand  int                // of this epoch: delivered and not settled
	owed    int                // redeliveries that are still to come of messages that were in hand when the last epoch ended
	losses  int                // channels that were lost
	guesses int                // how many more redelivered messages may have been in hand when a process ended
	moves   map[*move]struct{} // moves of this epoch, because of evidence, that are not over
}

// start consumes.
func (k *consumer) start() {
	k.main = &subscription{k: k}
	exact := k.link.door.isExact()
	if !exact {
		if k.main.guesses = int(k.spec.Prefetch); k.main.guesses == 0 {
			k.main.guesses = guessMax
		}
	}
	k.main.machine = k.link.client.Consume(k.spec, k.main)
	if len(k.apart.Queues) > 0 {
		k.quarantine = &subscription{k: k}
		if !exact {
			k.quarantine.guesses = 1 // its prefetch
		}
		k.quarantine.machine = k.link.client.Consume(k.apart, k.quarantine)
		k.emptyOldQuarantine()
	}
}

// A delivery is the call of a message, with the subscription that brought it.
type delivery struct {
	*publisher.Call
	sub *subscription
}

// Deliver makes a call of a delivery.
func (sub *subscription) Deliver(d *client.Delivery) {
	k := sub.k
	if sub.epoch != d.Epoch {
		sub.begin(d.Epoch)
	}
	sub.inHand++
	if k.stopped && !k.declared.NoAck {
		sub.settled(d.Epoch)
		sub.machine.Nack(d.Epoch, d.Tag, true)
		return
	}
	sub.message = publisher.Message{
		Connection: k.link.name, Consumer: k.name, ConsumerTag: k.name, Epoch: d.Epoch, DeliveryTag: d.Tag,
		Redelivered: d.Redelivered, Exchange: d.Exchange, RoutingKey: d.RoutingKey,
		Properties: d.RawProperties, Body: d.Body, Owned: d.Owned, Reply: k.link.reply, Queue: sub.queue(),
	}
	sub.message.History.Quarantined = sub == k.quarantine
	c := k.link.door.server.NewCall()
	err := c.SetMessage(&sub.message)
	sub.message.Body = nil // which may be large
	if d.Fault != nil {
		err = d.Fault
	}
	if k.declared.AutoAck {
		sub.settled(d.Epoch)
		sub.machine.Ack(d.Epoch, d.Tag)
	}
	if err != nil {
		sub.unread(c, err)
		return
	}
	if (d.Redelivered || sub == k.quarantine) && sub.diverted(c) {
		k.link.door.server.Discard(c)
		return
	}
	k.throttle.enter(delivery{c, sub})
}

// queue returns the name of the queue that the message belongs to. A message in quarantine
// still belongs to the queue that it came from.
func (sub *subscription) queue() string {
	if sub.k.declared.Queue != "" {
		return sub.k.declared.Queue
	}
	return sub.machine.Queue()
}

// begin starts a new epoch, on a new channel. The messages that were in hand come again,
// which is no sign of a crash. Those that no handler has begun with are dropped here, so
// that they are not handled twice.
func (sub *subscription) begin(epoch uint32) {
	if sub.epoch != 0 {
		sub.losses++
		sub.guesses = 0 // the messages that come again were in hand in this process
	}
	sub.owed += sub.inHand
	sub.epoch, sub.inHand = epoch, 0
	for mv := range sub.moves {
		mv.abandon()
	}
	sub.k.throttle.forget(sub)
	for w := range sub.k.delayed {
		if w.sub == sub {
			sub.k.known.put(w.hash, w.untold)
			w.drop()
			sub.k.throttle.release(w.lane, w.sub, &w.message)
		}
	}
}

// Done settles the message by the outcome of its call.
func (sub *subscription) Done(c *publisher.Call) {
	k := sub.k
	m, outcome := c.Message(), c.Outcome()
	k.over(delivery{c, sub})
	if k.dedupe != nil {
		k.dedupe.over(delivery{c, sub}, outcome.Settlement == publisher.SettleAck)
	}
	switch outcome.Settlement {
	case publisher.SettleAck:
		if k.dedupe == nil {
			sub.ack(m.Epoch, m.DeliveryTag)
		}
	case publisher.SettleDeadLetter:
		sub.giveUp(c, outcome.Reason)
	case publisher.SettleRetry:
		if sub.retry(c) {
			return // the message keeps its lane
		}
	}
	k.throttle.leave(delivery{c, sub})
}

func (sub *subscription) ack(epoch uint32, tag uint64) {
	if !sub.isFinal() {
		crashpoint.At("ack")
		sub.settled(epoch)
		sub.machine.Ack(epoch, tag)
		crashpoint.At("acked") // and the ack is not written yet
	}
}

// reject gives the message back to its queue or, without requeue, to the queue's
// dead-letter exchange. It is basic.reject, which a quorum queue counts as a failure.
func (sub *subscription) reject(epoch uint32, tag uint64, requeue bool) {
	if !sub.isFinal() {
		sub.settled(epoch)
		sub.machine.Reject(epoch, tag, requeue)
	}
}

// handBack gives the message back for a reason that has nothing to do with the message.
func (sub *subscription) handBack(epoch uint32, tag uint64) {
	if !sub.isFinal() {
		sub.settled(epoch)
		sub.machine.Nack(epoch, tag, true)
	}
}

// isFinal reports whether messages are settled before they are handled.
func (sub *subscription) isFinal() bool { return sub.k.declared.NoAck || sub.k.declared.AutoAck }

func (sub *subscription) settled(epoch uint32) {
	if epoch == sub.epoch {
		sub.inHand--
	}
}

// Pause stops the deliveries. From a queue that is deleted with its last consumer, the
// deliveries go on, and its messages wait in this process.
func (k *consumer) Pause() {
	if k.paused || k.stopped {
		return
	}
	k.paused = true
	if k.declared.AutoDelete {
		return
	}
	for _, sub := range k.subscriptions() {
		sub.machine.Pause()
		// The client hands back the deliveries that are on their way. When they come
		// again, that is no sign of a crash.
		sub.owed += int(k.spec.Prefetch)
	}
	if k.leaves() {
		k.giveBack()
	}
}

// leaves reports whether the pause closes the channel after the running calls have ended.
// Until then no call may begin, and no message may wait here.
func (k *consumer) leaves() bool {
	return k.paused && !k.declared.AutoDelete && k.main.machine.IsSole()
}

// giveBack hands back the messages that wait here, for their turn or for another attempt.
func (k *consumer) giveBack() {
	k.throttle.empty()
	for w := range k.delayed {
		k.known.put(w.hash, w.untold)
		w.sub.handBack(w.message.Epoch, w.message.DeliveryTag)
		w.drop()
		k.throttle.release(w.lane, w.sub, &w.message)
	}
}

// Resume undoes Pause.
func (k *consumer) Resume() {
	if !k.paused || k.stopped {
		return
	}
	k.paused = false
	for _, sub := range k.subscriptions() {
		sub.machine.Resume()
	}
	k.throttle.pump()
	k.trials.pump()
}

// IsPaused reports whether Pause was called last.
func (k *consumer) IsPaused() bool { return k.paused }

func (k *consumer) subscriptions() []*subscription {
	if k.quarantine == nil {
		return []*subscription{k.main}
	}
	return []*subscription{k.main, k.quarantine}
}

// stop cancels the consumer, and then gives back the messages that wait here. In the
// other order the broker would deliver them again.
func (k *consumer) stop(done func()) {
	k.stopped = true
	subscriptions := k.subscriptions()
	left := len(subscriptions)
	for _, sub := range subscriptions {
		sub.machine.Cancel(func() {
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
	if k.dedupe != nil {
		if err, final := k.dedupe.store.Err(); err != nil {
			s.Ready, s.State = false, "the disk takes no ids"
			s.Detail = "messages are handled and not acked until it does: " + err.Error()
			if final {
				s.Detail = "the consumer is paused: mend the disk of server.data_dir, and restart: " + err.Error()
			}
			return s
		}
	}
	if k.paused && (s.Ready || m.State() == client.AwaitPauseOk) {
		s.State, s.Ready = "paused", true
	}
	return s
}
