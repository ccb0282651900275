package broker

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"zamqp/amqpproto/journal"
)

// serverStore is the part of a Server that puts durable things into a journal.
// Its zero value stores nothing, and then nothing is ever waited for.
//
// Everything durable is in memory as well; the journal is only read at start. A
// record is appended to a batch here, on the broker's thread, and written by the
// journal elsewhere, once a turn.
type serverStore struct {
	journal   *journal.Journal
	board     *journal.Board // who has which message; nil while the store is being read
	disk      diskRoom
	retry     func() // what the journal wants to be called for a passing error; nil = nothing
	retryAt   int64
	lastQueue uint32 // the highest queue.storeID ever
	shelf     shelf

	gone      []byte // the record of entries that have left their queues in this turn, without its kind
	goneQueue uint32 // the last pair in it
	goneID    uint64

	lent      []writing // in the order of their numbers
	due       bool      // flushStore will be called
	flush     func()    // flushStore, made once
	head      []byte    // scratch for the beginning of a record
	item      []byte    // and for records of the topology
	queues    []home    // scratch
	topology  int64     // octets of the topology, about
	mapping   *mapping
	mappedTo  int64  // octets appended when the last mapping was done
	changedAt uint64 // number of the newest record that changed it
	mappedAt  uint64 // number of the first record of the newest complete topology
}

// Only durable things are written: storing and forgetting anything else does
// nothing, so callers need not look.

// keeps says whether there is a store: while it is being read there is none.
func (s *Server) keeps() bool { return s.journal != nil }

// append writes the record of a change to the topology.
func (s *Server) append(b []byte) {
	s.settleGone()
	s.changedAt = s.journal.Append(b)
	s.flushLater()
}

// kept says whether the store has to know x. The predeclared exchanges are
// there anyway.
func (x *exchange) kept() bool {
	return x.durable && x.name != "" && !strings.HasPrefix(x.name, "amq.")
}

// storeExchange is called when an exchange was declared, forgetExchange when it
// is deleted. Its bindings need not be forgotten one by one.
func (s *Server) storeExchange(x *exchange) {
	if s.keeps() && x.kept() {
		s.head = appendExchange(s.head[:0], x)
		s.topology += int64(len(s.head))
		s.append(s.head)
	}
}

func (s *Server) forgetExchange(x *exchange) {
	if s.keeps() && x.kept() {
		s.head = appendNoExchange(s.head[:0], x)
		s.append(s.head)
	}
}

// storeQueue and forgetQueue are the same for queues. An exclusive queue ends
// with its connection, so it is not durable, whatever was asked for. forgetQueue
// comes before forgetEntry of each message that was in the queue, which costs no
// records then.
func (s *Server) storeQueue(q *queue) {
	if s.keeps() && q.durable && !q.exclusive {
		s.lastQueue++
		q.storeID = s.lastQueue
		s.head = appendQueue(s.head[:0], q)
		s.topology += int64(len(s.head))
		s.append(s.head)
	}
}

func (s *Server) forgetQueue(q *queue) {
	if s.keeps() && q.storeID != 0 {
		q.unstored = true
		s.head = binary.AppendUvarint(append(s.head[:0], byte(recordNoQueue)), uint64(q.storeID))
		s.append(s.head)
	}
}

// storeBinding and forgetBinding are called for every binding: it is durable if
// both its ends are.
func (s *Server) storeBinding(b *binding) { s.bindingRecord(recordBinding, b) }

func (s *Server) forgetBinding(b *binding) { s.bindingRecord(recordNoBinding, b) }

func (s *Server) bindingRecord(kind recordKind, b *binding) {
	if s.keeps() && b.kept() {
		s.head = appendBinding(s.head[:0], kind, b)
		if kind == recordBinding {
			s.topology += int64(len(s.head))
		}
		s.append(s.head)
	}
}

// kept says whether the store knows b. Bindings of the default exchange are
// not made by anybody.
func (b *binding) kept() bool {
	if !b.source.durable || b.source.name == "" {
		return false
	}
	if b.queue != nil {
		return b.queue.storeID != 0 && !b.queue.unstored
	}
	return b.target.durable && !b.target.gone
}

// storeMessage is called once for each publish, after routing and before push. A
// persistent message is written once, with those of the queues that are durable;
// m.seq is its id then, and 0 if there was nothing to write. A queue that refuses
// it afterwards forgets it.
func (s *Server) storeMessage(m *message, queues []*queue) {
	if !s.keeps() || !m.persistent {
		return
	}
	homes := s.queues[:0]
	for _, q := range queues {
		if q.storeID != 0 && !q.unstored {
			homes = append(homes, home{queue: q.storeID})
		}
	}
	if s.queues = homes; len(homes) == 0 {
		return
	}
	s.settleGone()
	k := s.shelf.of(m)
	*k = kept{time: s.now() / int64(time.Millisecond)}
	m.seq = s.writeMessage(m, 0, k.time, homes)
	for _, h := range homes {
		s.shelf.add(k, h)
	}
	s.shelf.append(m, k, m.seq)
	s.memory += keptSize
	s.wrote()
	s.flushLater()
}

// writeMessage appends the record of a message.
func (s *Server) writeMessage(m *message, id uint64, ms int64, homes []home) (number uint64) {
	b := appendRecordHead(s.head[:0], id, ms, len(homes))
	for _, h := range homes {
		b = appendHome(b, h)
	}
	s.head = appendLengths(b, m)
	return s.appendMessage(m, s.head, nil, nil)
}

// appendMessage appends a record of three parts and the message's octets.
func (s *Server) appendMessage(m *message, head, homes, lengths []byte) (number uint64) {
	rest := s.arena.octets(m.chunk, m.offset, m.size())
	if m.large == 0 {
		return s.journal.Append(head, homes, lengths, rest)
	}
	number = s.journal.AppendLent(s.bodyOctets(m.large, m.bodyLen), head, homes, lengths, rest)
	s.lend(number, m.large)
	return number
}

// storeDelivery is called when a queue hands an entry out, not when it is gone
// with that. Whoever gets it after a crash is to be told that somebody had it,
// and the deliveries of quorum queues are counted: a message that kills its
// consumer, and the broker with it, must not do so for ever.
func (s *Server) storeDelivery(q *queue, e entry) {
	if e.msg.seq == 0 || !s.keeps() {
		return
	}
	h := s.shelf.find(s.shelf.of(e.msg), q.storeID)
	if h == nil {
		return
	}
	h.deliveries = e.deliveries + 1
	switch value := uint64(q.storeID)<<32 | uint64(h.deliveries); {
	case h.slot == 0:
		h.slot = s.board.Take(e.msg.seq, value) + 1
	case q.quorum:
		s.board.Set(h.slot-1, value)
	}
}

// noteDeliveries comes before deliveries leave: a client may kill the broker
// with the first octet of one.
func (s *Server) noteDeliveries() {
	if s.board == nil || !s.board.Dirty() {
		return
	}
	if err := s.board.Write(); err != nil {
		s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%w; after a crash all messages will be marked as redelivered", err)})
	}
}

// forgetEntry is called when an entry has left a durable queue for good, while
// the message still lives: ack, get without ack, expiry, drop, purge, refusal,
// and dead-lettering after the dead letter is stored.
func (s *Server) forgetEntry(q *queue, m *message) {
	if m.seq == 0 || q.storeID == 0 || !s.keeps() {
		return
	}
	k := s.shelf.of(m)
	if !s.leave(k, q.storeID) {
		return
	}
	if !q.unstored {
		s.writeGone(q.storeID, m.seq)
	}
	if k.queue == 0 {
		s.unshelve(m, k)
	}
	s.flushLater() // there may be garbage to collect
}

// leave takes a queue away from those that have a message.
func (s *Server) leave(k *kept, queue uint32) bool {
	h, found := s.shelf.drop(k, queue)
	if h.slot != 0 {
		s.board.Free(h.slot-1, s.journal.Last()+1) // the record comes next
	}
	return found
}

// unkeep lets go of a message that nobody holds any more: the queues that had it
// were deleted.
func (s *Server) unkeep(m *message) {
	k := s.shelf.of(m)
	for k.queue != 0 {
		s.leave(k, k.queue)
	}
	s.unshelve(m, k)
	if s.keeps() {
		s.flushLater()
	}
}

// unshelve takes a message off the shelf that no queue has any more.
func (s *Server) unshelve(m *message, k *kept) {
	s.shelf.remove(m, k)
	s.memory -= keptSize
	m.seq = 0
}

// writeGone notes an entry that has left its queue. There are many, and what
// they cost is mostly the record around them: so all of a turn, as long as
// nothing else is written in between, go into one.
func (s *Server) writeGone(queue uint32, id uint64) {
	s.gone = binary.AppendVarint(s.gone, int64(queue)-int64(s.goneQueue))
	s.gone = binary.AppendVarint(s.gone, int64(id-s.goneID))
	s.goneQueue, s.goneID = queue, id
	const enough = 64 << 10
	if len(s.gone) > enough {
		s.settleGone()
	}
}

var goneKind = []byte{byte(recordGone)}

func (s *Server) settleGone() {
	if len(s.gone) > 0 {
		s.journal.Append(goneKind, s.gone)
		s.gone, s.goneQueue, s.goneID = s.gone[:0], 0, 0
	}
}

// stored is the number of the last record: what was done before is on disk when
// synced has reached it. Confirms of stored messages and tx.commit-ok wait for
// that; Server.onSynced is called each time it moves. Without a store both are 0.
func (s *Server) stored() uint64 {
	if s.journal == nil {
		return 0
	}
	s.settleGone()
	return s.journal.Last()
}

func (s *Server) synced() uint64 {
	if s.journal == nil {
		return 0
	}
	return s.journal.Synced()
}

// storeErr is the write or sync that failed: nothing durable is confirmed, and
// so nothing should be accepted, any more. nil if all is well.
func (s *Server) storeErr() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Err()
}

// behind is how many octets wait to be written. They are copies, in memory, of
// messages that may have gone on already.
func (s *Server) behind() int64 {
	if s.journal == nil {
		return 0
	}
	return int64(s.journal.Behind())
}

// flushLater sees to it that what was appended in this turn is handed to the
// journal's writer at the end of it.
func (s *Server) flushLater() {
	if !s.due {
		s.due = true
		s.host.Post(s.flush)
	}
}

func (s *Server) flushStore() {
	s.due = false
	s.settleGone()
	s.collect()
	s.journal.Flush()
}
