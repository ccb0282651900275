package client

// argSingleActive makes RabbitMQ give the messages of a queue to one of its
// consumers at a time.
const argSingleActive = "x-single-active-consumer"

// A consumer that is the only one to be given its queue's messages, single active
// or exclusive, does not stop by basic.cancel. The next one would begin beside
// the handlers that still run here, and RabbitMQ 3.x loses the process of a
// classic queue when an ack or nack follows the cancel of its single active
// consumer (rabbitmq-server issue 5460): the queue is gone for half a minute.
//
// It leaves instead: the sink is given nothing more, what is in hand is settled,
// and then the channel is closed, in the same octets as the last acks. Whatever
// comes or is given back meanwhile is kept until the close gives it back to the
// queue; a nack would only bring it again. What is kept is within the prefetch.

// IsSole reports whether the consumer leaves in this way. Without acks nothing
// can be kept.
func (k *Consumer) IsSole() bool {
	single := k.spec.SingleActive || len(k.spec.Queues) > 0 && k.spec.Queues[0].Args[argSingleActive] == true
	return (single || k.spec.Exclusive) && !k.spec.NoAck
}

// leave begins it. k.state says whether it is a cancel or a pause.
func (k *Consumer) leave() {
	k.leaving = true
	k.eager = true
	k.release()
}

// stay ends a leave whose channel is not closed yet: what was kept goes back to
// its queue, and comes again in its order.
func (k *Consumer) stay() {
	k.leaving, k.eager = false, false
	k.state = Up
	out := &k.ch.conn.out
	out.Room()
	out.Buf = k.settled.giveBack(out.Buf, k.ch.number, k.client.has)
	k.client.wake()
}

// keep takes a delivery back from whoever had it in hand, without a word to the
// broker.
func (s *Acknowledger) keep(epoch uint32, tag uint64) {
	if s.settle(epoch, tag, tagKept) {
		s.of.stats.HandedBack++
		s.after()
	}
}

// closed is called when the channel is, as was wanted.
func (k *Consumer) closed() {
	switch {
	case k.cancelling():
		k.ended()
	case k.state == AwaitPauseOk:
		k.onPauseOk()
	}
}
