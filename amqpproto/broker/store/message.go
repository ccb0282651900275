package store

import (
	"encoding/binary"
	"unsafe"
)

// Message is a message as the store writes it.
type Message struct {
	ID  uint32 // the broker's number for it, used again after the message has gone
	Seq uint64 // the store's number, which Add has returned; 0 = not stored

	ExchangeLen, KeyLen uint8
	BCCLen              uint16
	PropsLen            uint32
	Octets              []byte // exchange, routing key, BCC keys, properties, and the body unless it is Large
	Large               []byte // the body, if it is lent to the journal
}

// cost returns about how much m's record takes on disk.
func (m *Message) cost() int64 { return cost(len(m.Octets) + len(m.Large)) }

func cost(size int) int64 { return int64(size) + 40 }

// MessageSize is what the store keeps in memory about a message, octets.
const MessageSize = int64(unsafe.Sizeof(stored{}))

// Add stores a message for the queues with these ids, and returns the number of its record:
// it is on disk when Synced has reached that number. queues must not be empty. ms is the time
// of the publish, in milliseconds since 1970.
func (s *Store) Add(m Message, ms int64, queues []uint32) (seq uint64) {
	s.writeGone()
	k := s.index.of(m.ID)
	*k = stored{time: ms}
	refs := s.refs[:0]
	for _, q := range queues {
		refs = append(refs, queueRef{queue: q})
	}
	s.refs = refs
	seq = s.writeMessage(&m, 0, ms, refs)
	for _, r := range refs {
		s.index.add(m.ID, k, r)
	}
	s.index.append(m.ID, k, seq, m.cost())
	s.flushLater()
	return seq
}

// writeMessage appends the record of a message; id is 0 in the first one.
func (s *Store) writeMessage(m *Message, id uint64, ms int64, refs []queueRef) (number uint64) {
	b := appendMessageHead(s.head[:0], id, ms, len(refs))
	for _, r := range refs {
		b = appendRef(b, r)
	}
	s.head = appendLengths(b, m)
	return s.appendMessage(m, s.head, nil, nil)
}

// appendMessage appends a record of three parts and the message's octets.
func (s *Store) appendMessage(m *Message, head, refs, lengths []byte) (number uint64) {
	if m.Large == nil {
		return s.journal.Append(head, refs, lengths, m.Octets)
	}
	return s.journal.AppendLent(m.Large, head, refs, lengths, m.Octets)
}

// Wide is a message that goes to more queues than one turn has room for. Its zero
// value is ready for the first queue.
type Wide struct {
	begun  bool
	ms     int64
	refs   int
	record []byte // the octets that will be written about the queues
}

// AddTo records one queue for a message that Finish will add.
func (s *Store) AddTo(w *Wide, id uint32, queue uint32) {
	k := s.index.of(id)
	if !w.begun {
		w.begun = true
		w.ms = s.owner.Now() / 1e6
		*k = stored{time: w.ms}
		s.index.pin(id)
	}
	r := queueRef{queue: queue}
	w.record = appendRef(w.record, r)
	s.index.add(id, k, r)
	w.refs++
}

// Finish is Add for the queues that AddTo has recorded. If there are none, there is nothing
// to store, and it returns 0.
func (s *Store) Finish(w *Wide, m Message) (seq uint64) {
	if !w.begun {
		return 0
	}
	s.index.unpin(m.ID)
	s.writeGone()
	s.head = appendMessageHead(s.head[:0], 0, w.ms, w.refs)
	at := len(s.head)
	s.head = appendLengths(s.head, &m)
	seq = s.appendMessage(&m, s.head[:at], w.record, s.head[at:])
	s.index.append(m.ID, s.index.of(m.ID), seq, m.cost())
	s.flushLater()
	w.record = nil
	return seq
}

// Delivered is called when a queue delivers a message that stays unacked. After a crash
// the message has to be marked as redelivered. With count the number of deliveries is
// kept as well, as quorum queues need it: a message that kills its consumer, and the
// broker with it, must not do so for ever. deliveries includes this one.
func (s *Store) Delivered(m uint32, seq uint64, queue, deliveries uint32, count bool) {
	if s == nil {
		return
	}
	r := s.index.find(m, s.index.of(m), queue)
	if r == nil {
		return
	}
	r.deliveries = deliveries
	switch value := uint64(queue)<<32 | uint64(deliveries); {
	case r.slot == 0:
		r.slot = s.slots.Take(seq, value) + 1
	case count:
		s.slots.Set(r.slot-1, value)
	}
}

// WriteDeliveries is called before deliveries are sent: a client may kill the broker with the
// first octet of one.
func (s *Store) WriteDeliveries() error {
	if s == nil || !s.slots.Dirty() {
		return nil
	}
	return s.slots.Write()
}

// Remove is called when a message has left a queue for good, while the message
// still lives: ack, get without ack, expiry, drop, purge, refusal, and
// dead-lettering after the dead letter is stored. queueGone says that the queue
// was removed. size is the length of the message's octets. last says that no queue
// has it any more: the store has forgotten the message.
func (s *Store) Remove(m uint32, seq uint64, size int, queue uint32, queueGone bool) (last bool) {
	if s == nil {
		return false
	}
	k := s.index.of(m)
	if !s.drop(m, k, queue) {
		return false
	}
	if !queueGone {
		s.addGone(queue, seq)
	}
	if last = k.queue == 0; last {
		s.index.remove(m, k, cost(size))
	}
	s.flushLater() // there may be garbage to collect
	return last
}

// drop removes a queue from those that have a message.
func (s *Store) drop(m uint32, k *stored, queue uint32) bool {
	r, found := s.index.drop(m, k, queue)
	if r.slot != 0 {
		s.slots.Free(r.slot-1, s.journal.Last()+1) // the record comes next
	}
	return found
}

// Forget releases a message that no queue has any more: the queues that had it
// were removed.
func (s *Store) Forget(m uint32, size int) {
	k := s.index.of(m)
	for k.queue != 0 {
		s.drop(m, k, k.queue)
	}
	s.index.remove(m, k, cost(size))
	s.flushLater()
}

// addGone records an entry that has left its queue. There are many, and most of their cost is
// the record around them. So all entries of a turn go into one record, as long as nothing
// else is written in between.
func (s *Store) addGone(queue uint32, seq uint64) {
	s.gone = binary.AppendVarint(s.gone, int64(queue)-int64(s.goneQueue))
	s.gone = binary.AppendVarint(s.gone, int64(seq-s.goneID))
	s.goneQueue, s.goneID = queue, seq
	const enough = 64 << 10
	if len(s.gone) > enough {
		s.writeGone()
	}
}

var goneKind = []byte{byte(recordGone)}

func (s *Store) writeGone() {
	if len(s.gone) > 0 {
		s.journal.Append(goneKind, s.gone)
		s.gone, s.goneQueue, s.goneID = s.gone[:0], 0, 0
	}
}
