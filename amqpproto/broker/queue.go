package broker

// queue is a queue.
type queue struct {
	vhost *vhost
	queueSpec
	owner *Conn // of an exclusive queue
}

// entry is a message's place in one queue, and what a channel remembers about
// a delivery. Whoever has taken an entry from a queue gives it back with exactly
// one of settle, requeue or reject.
type entry struct {
	msg         *message
	order       uint64 // place in the queue
	expires     int64  // unix nanoseconds, 0 = never
	deliveries  uint32 // failed ones before this one, for x-delivery-count
	redelivered bool
}

// messages is how many are ready, and consumers how many consume: the counts of
// queue.declare-ok.
func (q *queue) messages() int  { return 0 }
func (q *queue) consumers() int { return 0 }

// push takes a message: a reference of the queue's own is added. ok is false if
// the queue is full and refuses (x-overflow): the publisher gets a nack.
func (q *queue) push(m *message) (ok bool) { return true }

// get takes the first message, and says how many are left.
func (q *queue) get() (e entry, left int, ok bool) { return entry{}, 0, false }

// settle is an ack: the message is gone for good.
func (q *queue) settle(e entry) {}

// requeue puts messages back in their places. es is in the order of delivery.
func (q *queue) requeue(es []entry) {}

// reject is reject or nack without requeue: dead-letter or drop.
func (q *queue) reject(e entry) {}

// purge drops the ready messages and returns how many there were.
func (q *queue) purge() int { return 0 }

// dropped marks q as deleted: a channel that holds entries of a deleted queue
// gives them back as always; they are then released only.
func (q *queue) deleted() bool { return false }
