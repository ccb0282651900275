package client

import "zamqp/amqpproto"

// Pause stops deliveries (basic.cancel; see leave.go for a consumer that is the
// only one of its queue) without giving up anything else: the topology stays
// declared, what is in hand can be settled, and Resume goes on, also over
// reconnects. What arrives until the broker has agreed is handed back
// unseen; a consumer with NoAck, which cannot hand back, still gets it. The end of
// its last consumer ends a queue that is AutoDelete: Resume declares it anew.
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
	if k.leaving && k.ch.state == channelOpen && !k.place.stream { // a stream brings nothing again for a nack
		k.stay()
		return
	}
	if k.state == Paused && k.client.isOpen() {
		k.start()
		k.client.wake()
	} // else what is under way finds out
}

// IsPaused tells whether Pause was called and not ended by Resume or Cancel.
func (k *Consumer) IsPaused() bool { return k.paused }

// pause cancels at the broker, if there is something to cancel yet. What is half
// way looks at k.paused when it comes to that.
func (k *Consumer) pause() {
	if k.state != Up || !k.flowing || k.ch == nil || !k.client.isOpen() {
		return
	}
	k.state = AwaitPauseOk
	k.eager = true
	k.check(k.cancel())
	k.client.wake()
}

// cancel asks the broker to send nothing more, or leaves that to the answer that
// is awaited: a Sync may be under way.
func (k *Consumer) cancel() error {
	if k.IsSole() {
		k.leave()
		return nil
	}
	if k.ch.await != 0 {
		return nil
	}
	return k.ch.request(&amqpproto.BasicCancel{ConsumerTag: []byte(k.tag)}, amqpproto.IDBasicCancelOk)
}

// rest is the state that a paused consumer is in.
func (k *Consumer) rest() {
	k.state, k.err = Paused, nil
	if len(k.spec.Queues) > 0 && k.spec.Queues[0].AutoDelete {
		k.conn = nil // the name that the broker gave it has gone with it
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
