package store

import (
	"encoding/binary"
	"time"

	"zamqp/amqpproto/journal"
)

// Owner is the broker that a store belongs to. All calls come on its thread.
type Owner interface {
	Now() int64                // returns the time of this turn, in nanoseconds since 1970
	WakeAt(at int64)           // calls Store.Tick at that time
	Post(fn func())            // calls fn at the end of this turn
	Offload(work, done func()) // runs work on another thread, then done on this one

	// Later calls step in this turn or a later one, again and again until it is done. Charge
	// reports whether this turn has room for one more thing; step returns when it has none.
	Later(step func() (done bool))
	Charge() bool

	Synced()           // called when Store.Synced has moved
	Failed(err error)  // called when nothing more will be stored: Store.Err
	Trouble(err error) // the disk takes nothing, and the store tries again; nil = it works again

	// These methods are for writing things again: everything durable, at once or in steps,
	// and a known message.
	Durable(w *Writer)
	Walk() Walk
	Message(id uint32) Message

	// Lent says that a record has the large body of a message. The journal reads the body
	// from its own memory, so it must stay there until the record is synced.
	Lent(id uint32, record uint64)
}

// Options are those of the journal.
type Options struct {
	SegmentSize int64
	Reserve     int64
	Files       journal.FS
}

// Store is an open store. A nil Store stores nothing.
type Store struct {
	owner   Owner
	journal *journal.Journal
	slots   *journal.SlotFile // how often each queue has delivered each message

	retry   func() // the call that the journal needs after a temporary error; nil = none
	retryAt int64

	index     index
	lastQueue uint32 // the highest queue id ever

	gone      []byte // the record of entries that have left their queues in this turn, without its kind
	goneQueue uint32 // the last pair in it
	goneID    uint64

	flushing bool       // flush will be called
	flush    func()     // flushNow, made once
	head     []byte     // scratch for the beginning of a record
	item     []byte     // scratch for records of the topology
	refs     []queueRef // scratch

	changedAt   uint64     // number of the newest record that changed the topology
	topology    int64      // octets of the topology, about
	rewriting   *rewriting // the topology is being written again in steps
	rewrittenTo int64      // octets appended when the last one was finished
	completeAt  uint64     // number of the first record of the newest complete topology
}

// append writes the record of a change to the topology.
func (s *Store) append(b []byte) {
	s.writeGone()
	s.changedAt = s.journal.Append(b)
	s.flushLater()
}

// Changed is the number of the newest record that changed the topology.
func (s *Store) Changed() uint64 {
	if s == nil {
		return 0
	}
	return s.changedAt
}

// AddExchange is called when a durable exchange was declared, RemoveExchange when
// it was deleted. The bindings of a removed exchange need not be removed.
func (s *Store) AddExchange(x Exchange) {
	if s == nil {
		return
	}
	s.head = appendExchange(s.head[:0], x)
	s.topology += int64(len(s.head))
	s.append(s.head)
}

// RemoveExchange uses only the vhost and the name of x.
func (s *Store) RemoveExchange(vhost, name string) {
	if s == nil {
		return
	}
	s.head = appendNoExchange(s.head[:0], vhost, name)
	s.append(s.head)
}

// AddQueue is called when a durable queue was declared, and returns its id. Ids
// are never used again.
func (s *Store) AddQueue(q Queue) (id uint32) {
	if s == nil {
		return 0
	}
	s.lastQueue++
	q.ID = s.lastQueue
	s.head = appendQueue(s.head[:0], q)
	s.topology += int64(len(s.head))
	s.append(s.head)
	return q.ID
}

// RemoveQueue is called when a queue was deleted, before Remove for each of its
// messages, which costs no records then.
func (s *Store) RemoveQueue(id uint32) {
	if s == nil {
		return
	}
	s.head = binary.AppendUvarint(append(s.head[:0], byte(recordNoQueue)), uint64(id))
	s.append(s.head)
}

// AddBinding and RemoveBinding are called for bindings with both ends durable.
func (s *Store) AddBinding(b Binding) {
	if s == nil {
		return
	}
	s.head = appendBinding(s.head[:0], recordBinding, b)
	s.topology += int64(len(s.head))
	s.append(s.head)
}

// RemoveBinding identifies the binding by all of its fields.
func (s *Store) RemoveBinding(b Binding) {
	if s == nil {
		return
	}
	s.head = appendBinding(s.head[:0], recordNoBinding, b)
	s.append(s.head)
}

// Last returns the number of the last record: everything done before is on disk when Synced
// has reached it. Owner.Synced is called each time Synced moves. Without a store both are 0.
func (s *Store) Last() uint64 {
	if s == nil {
		return 0
	}
	s.writeGone()
	return s.journal.Last()
}

// Synced returns the number of the last record on disk.
func (s *Store) Synced() uint64 {
	if s == nil {
		return 0
	}
	return s.journal.Synced()
}

// Err returns the final error of a write or sync. After it nothing durable is confirmed, so
// nothing durable should be accepted. nil if all is well.
func (s *Store) Err() error {
	if s == nil {
		return nil
	}
	return s.journal.Err()
}

// Behind returns how many octets wait to be written. They are copies, in memory, of messages
// that may have left already.
func (s *Store) Behind() int64 {
	if s == nil {
		return 0
	}
	return int64(s.journal.Behind())
}

// Appended returns how many octets the store has ever got.
func (s *Store) Appended() int64 {
	if s == nil {
		return 0
	}
	return s.journal.Appended()
}

// Messages returns how many messages are stored.
func (s *Store) Messages() int {
	if s == nil {
		return 0
	}
	return s.index.n
}

// Tick calls the journal if it is due, and returns when it will be; 0 = never.
func (s *Store) Tick(now int64) (next int64) {
	if s == nil {
		return 0
	}
	if fn := s.retry; fn != nil && now >= s.retryAt {
		s.retry = nil
		fn()
	}
	if s.retry == nil {
		return 0
	}
	return s.retryAt
}

// callLater makes Tick call the journal.
func (s *Store) callLater(wait time.Duration, fn func()) {
	s.retry, s.retryAt = fn, s.owner.Now()+int64(wait)
	s.owner.WakeAt(s.retryAt)
}

// flushLater makes sure that everything appended in this turn is given to the journal's
// writer at its end.
func (s *Store) flushLater() {
	if !s.flushing {
		s.flushing = true
		s.owner.Post(s.flush)
	}
}

func (s *Store) flushNow() {
	s.flushing = false
	s.writeGone()
	s.compact()
	s.journal.Flush()
}

func (s *Store) synced(seq uint64) {
	s.slots.Again()
	s.slots.Reuse(seq)
	s.owner.Synced()
}

// Close waits until everything is on disk and releases the directory.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.writeGone()
	err := s.journal.Close()
	if serr := s.slots.Close(); err == nil {
		err = serr
	}
	return err
}
