package client

import "zamqp/amqpproto"

// Pause stops deliveries with basic.cancel; for a consumer that is the only one of its
// queue, see leave.go. All else stays: the topology stays declared, deliveries in hand
// can be settled, and the pause lasts over reconnects until Resume. Messages that
// arrive before the broker's answer are given back, and the sink does not see them. A
// consumer with NoAck cannot give them back, so its sink still gets them. The broker
// deletes an AutoDelete queue when its last consumer is cancelled: Resume declares it
// again.
func (k *Consumer) Pause() {
	if k.paused || k.cancelling() {
		return
	}
	k.paused = true
	k.pause()
}

// Resume ends a Pause: the topology is declared again, and consumed from.
func (k *Consumer) Resume() {
	if !k.paused || k.cancelling() {
		return
	}
	k.paused = false
	if k.leaving && k.ch.state == channelOpen && !k.place.stream { // because a stream does not redeliver after a nack
		k.stay()
		return
	}
	if k.state == Paused && k.client.isOpen() {
		k.start()
		k.client.wake()
	} // otherwise the next step sees k.paused
}

// pause sends the cancel if the consumer is up. A consumer that is still starting
// checks k.paused later.
func (k *Consumer) pause() {
	if k.state != Up || !k.flowing || k.ch == nil || !k.client.isOpen() {
		return
	}
	k.state = AwaitPauseOk
	k.eager = true
	k.check(k.cancel())
	k.client.wake()
}

// cancel asks the broker to send nothing more. If a Sync is under way, its answer
// calls cancel again.
func (k *Consumer) cancel() error {
	if k.IsSole() || k.givesBackByClosing {
		k.leave()
		return nil
	}
	if k.ch.await != 0 {
		return nil
	}
	return k.ch.request(&amqpproto.BasicCancel{ConsumerTag: []byte(k.tag)}, amqpproto.IDBasicCancelOk)
}

// rest puts the consumer into the paused state.
func (k *Consumer) rest() {
	k.state, k.err = Paused, nil
	if len(k.spec.Queues) > 0 && k.spec.Queues[0].AutoDelete {
		k.conn = nil // the queue is gone, and with it the name that the broker gave
	}
	k.client.note(Event{Kind: EventConsumerPaused, Name: k.name, Text: k.Queue()})
}

// onPauseOk is called when the broker sends nothing more.
func (k *Consumer) onPauseOk() {
	k.flowing = false
	k.rest()
	if !k.paused {
		k.start()
	}
}
