package client

import "zamqp/amqpproto"

// Sync calls done when the broker has taken everything that was settled before:
// an ack has no answer, but a method behind it on the same channel has. It is
// basic.qos with the prefetch that is in force. false says that it is not possible
// now, as while the consumer is paused. If the channel ends before the answer, or
// the consumer is cancelled, done is never called: what was settled may come
// again, with a new epoch.
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

// synced takes the answer.
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
