package client

import "zamqp/amqpproto"

// Sync calls done when the broker has received all earlier acks, rejects and nacks. An
// ack has no answer, but a later method on the same channel has: Sync sends basic.qos
// with the current prefetch. It returns false if this is not possible now, for example
// while the consumer is paused. If the channel ends before the answer, or the consumer
// is cancelled, done is never called: the settled messages may come again, with a new
// epoch.
func (k *Consumer) Sync(done func()) bool {
	if k.state != Up || k.ch == nil || !k.flowing || !k.client.isOpen() {
		return false
	}
	k.sync = append(k.sync, done)
	k.syncNow()
	k.client.wake()
	return true
}

func (k *Consumer) syncNow() {
	if len(k.sync) == 0 || k.ch.await != 0 || k.ch.state != channelOpen || !k.client.isOpen() {
		return
	}
	k.syncing, k.sync = k.sync, nil
	k.ch.conn.flushAcks(true)
	k.check(k.ch.request(&amqpproto.BasicQos{PrefetchCount: k.spec.Prefetch}, amqpproto.IDBasicQosOk))
}

// synced handles the answer.
func (k *Consumer) synced() {
	told := k.syncing
	k.syncing = nil
	for _, done := range told {
		done()
	}
	if k.state == Up && k.ch != nil {
		k.syncNow()
	}
}
