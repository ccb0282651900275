package client

// argSingleActive makes RabbitMQ give the messages of a queue to one of its
// consumers at a time.
const argSingleActive = "x-single-active-consumer"

// A consumer that is the only one to get its queue's messages (single active or
// exclusive) is not stopped with basic.cancel. The next consumer would start while
// handlers still run here. Also, RabbitMQ 3.x loses the process of a classic queue
// when an ack or nack follows the cancel of its single active consumer
// (rabbitmq-server issue 5460), and then the queue is gone for half a minute.
//
// Such a consumer leaves instead: the sink gets nothing more, the deliveries in hand
// are settled, and then the channel is closed, in the same octets as the last acks.
// Deliveries that come or are given back meanwhile are kept until the close returns
// them to the queue; after a nack the broker would only deliver them again. The
// prefetch bounds how many are kept.

// A consumer of a stream leaves in the same way. RabbitMQ ends the connection with 540
// when a message of a stream is rejected or nacked, whatever else the connection does.

// IsSole reports whether the consumer is the only one of its queue, and so leaves in
// this way. With NoAck it never does, because nothing can be kept.
func (k *Consumer) IsSole() bool {
	single := k.spec.SingleActive || len(k.spec.Queues) > 0 && k.spec.Queues[0].Args[argSingleActive] == true
	return (single || k.spec.Exclusive) && !k.spec.NoAck
}

// leave starts it. k.state says whether the reason is a cancel or a pause.
func (k *Consumer) leave() {
	k.leaving = true
	k.eager = true
	k.release()
}

// stay undoes a leave while its channel is not closed yet. The kept deliveries go
// back to the queue, and come again in order.
func (k *Consumer) stay() {
	k.leaving, k.eager = false, false
	k.state = Up
	out := &k.ch.conn.out
	out.Room()
	out.Buf = k.settled.giveBack(out.Buf, k.ch.number, k.client.has)
	k.client.wake()
}

// keep takes a delivery back from the handler, but tells the broker nothing.
func (s *Acknowledger) keep(epoch uint32, tag uint64) {
	if s.settle(epoch, tag, tagKept) {
		s.of.stats.HandedBack++
		s.after()
	}
}

// closed is called when the channel that we closed is closed.
func (k *Consumer) closed() {
	switch {
	case k.cancelling():
		k.ended()
	case k.state == AwaitPauseOk:
		k.onPauseOk()
	}
}
