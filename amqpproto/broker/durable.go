package broker

import (
	"fmt"
	"strings"

	"zamqp/amqpproto/broker/store"
)

// Only durable things are stored. Storing and forgetting anything else does nothing, so
// callers need not check. While the store is being read, and without a data directory, there
// is no store, and nothing ever waits for it.

// stored returns the number of the store's last record, synced that of the last one on disk.
// See store.Store.
func (s *Server) stored() uint64  { return s.store.Last() }
func (s *Server) synced() uint64  { return s.store.Synced() }
func (s *Server) storeErr() error { return s.store.Err() }

// behind returns how many octets wait to be written.
func (s *Server) behind() int64 { return s.store.Behind() }

// inStore reports whether the store has to know x. The predeclared exchanges exist without
// it.
func (x *exchange) inStore() bool {
	return x.durable && x.name != "" && !strings.HasPrefix(x.name, "amq.")
}

func (x *exchange) storeForm() store.Exchange {
	return store.Exchange{Vhost: x.vhost.name, Name: x.name, Kind: x.kind, AutoDelete: x.autoDelete, Internal: x.internal, Args: x.args}
}

// storeExchange is called when an exchange was declared, forgetExchange when it
// is deleted. Its bindings need not be forgotten one by one.
func (s *Server) storeExchange(x *exchange) {
	if x.inStore() {
		s.store.AddExchange(x.storeForm())
	}
}

func (s *Server) forgetExchange(x *exchange) {
	if x.inStore() {
		s.store.RemoveExchange(x.vhost.name, x.name)
	}
}

// inStore reports whether the store knows q.
func (q *queue) inStore() bool { return q.storeID != 0 && !q.unstored }

func (q *queue) storeForm() store.Queue {
	return store.Queue{ID: q.storeID, Vhost: q.vhost.name, Name: q.name, AutoDelete: q.autoDelete, Args: q.args}
}

// storeQueue and forgetQueue do the same for queues. An exclusive queue ends with its
// connection, so it is not durable, even if it was declared durable. forgetQueue comes before
// forgetEntry of each message that was in the queue, which then costs no records.
func (s *Server) storeQueue(q *queue) {
	if q.durable && !q.exclusive {
		q.storeID = s.store.AddQueue(q.storeForm())
	}
}

func (s *Server) forgetQueue(q *queue) {
	if q.storeID != 0 {
		q.unstored = true
		s.store.RemoveQueue(q.storeID)
	}
}

// inStore reports whether the store knows b: a binding is durable if both its ends are.
// Bindings of the default exchange are implicit, and not stored.
func (b *binding) inStore() bool {
	if !b.source.durable || b.source.name == "" {
		return false
	}
	if b.queue != nil {
		return b.queue.inStore()
	}
	return b.target.durable && !b.target.gone
}

func (b *binding) storeForm() store.Binding {
	f := store.Binding{Vhost: b.source.vhost.name, Source: b.source.name, Key: b.key, Args: b.args}
	if b.queue != nil {
		f.Destination = b.queue.name
	} else {
		f.Destination, f.ToExchange = b.target.name, true
	}
	return f
}

// storeBinding and forgetBinding are called for every binding.
func (s *Server) storeBinding(b *binding) {
	if b.inStore() {
		s.store.AddBinding(b.storeForm())
	}
}

func (s *Server) forgetBinding(b *binding) {
	if b.inStore() {
		s.store.RemoveBinding(b.storeForm())
	}
}

func (s *Server) storeForm(m *message) store.Message {
	f := store.Message{ID: m.id, Seq: m.seq, ExchangeLen: m.exchangeLen, KeyLen: m.keyLen, BCCLen: m.bccLen, PropsLen: m.propsLen,
		Octets: s.arena.Octets(m.chunk, m.offset, m.size())}
	if m.large != 0 {
		f.Large = s.bodyOctets(m.large, m.bodyLen)
	}
	return f
}

// storeSize returns how many octets of m the store writes.
func (m *message) storeSize() int { return m.size() - m.copied() + int(m.bodyLen) }

// storeMessage is called once for each publish, after routing and before push. A persistent
// message is written once for all of its queues that are durable. m.seq is then its number,
// or 0 if there was nothing to write. A queue that refuses the message afterwards forgets it.
func (s *Server) storeMessage(m *message, queues []*queue) {
	if s.store == nil || !m.persistent {
		return
	}
	ids := s.storeIDs[:0]
	for _, q := range queues {
		if q.inStore() {
			ids = append(ids, q.storeID)
		}
	}
	if s.storeIDs = ids; len(ids) > 0 {
		s.wasStored(m, s.store.Add(s.storeForm(m), s.now()/1e6, ids))
	}
}

// wasStored is called when a message has been given to the store.
func (s *Server) wasStored(m *message, seq uint64) {
	m.seq = seq
	s.memory += store.MessageSize
	if m.large != 0 {
		s.lend(seq, m.large)
	}
	s.wrote()
}

// storeDelivery is called when a queue delivers an entry, unless the entry is then gone: see
// store.Store.Delivered.
func (s *Server) storeDelivery(q *queue, e entry) {
	if e.msg.seq != 0 {
		s.store.Delivered(e.msg.id, e.msg.seq, q.storeID, e.deliveries+1, q.typ.countsDeliveries)
	}
}

// noteDeliveries is called before deliveries are sent.
func (s *Server) noteDeliveries() {
	if err := s.store.WriteDeliveries(); err != nil {
		s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%w; after a crash all messages will be marked as redelivered", err)})
	}
}

// forgetEntry is called when an entry has left a durable queue for good, while
// the message still lives: see store.Store.Remove.
func (s *Server) forgetEntry(q *queue, m *message) {
	if m.seq == 0 || q.storeID == 0 {
		return
	}
	if s.store.Remove(m.id, m.seq, m.storeSize(), q.storeID, q.unstored) {
		s.isForgotten(m)
	}
}

// forgetMessage releases a message that nothing holds any more, because the queues that had
// it were deleted.
func (s *Server) forgetMessage(m *message) {
	s.store.Forget(m.id, m.storeSize())
	s.isForgotten(m)
}

// isForgotten is called when the store no longer has a message.
func (s *Server) isForgotten(m *message) {
	m.seq = 0
	s.memory -= store.MessageSize
}
