package broker

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"zamqp/amqpproto/journal"
)

// storeName is the directory of the store in Options.DataDir.
const storeName = "broker"

// openStore reads what is in the data directory, and keeps it up to date from
// then on. The error is one that the operator has to look at: the broker does
// not start with less than what it had, unless that is lost.
func (s *Server) openStore() error {
	if s.opts.DataDir == "" {
		return nil
	}
	s.flush = s.flushStore
	r := &recovery{s: s, topology: newTopology(), live: map[uint64]uint32{}}
	dir := filepath.Join(s.opts.DataDir, storeName)
	j, report, err := journal.Open(dir, journal.Options{
		SegmentSize: s.opts.SegmentSize, FS: s.opts.Files, Offload: s.host.Offload,
		OnSegment: s.beginSegment, OnSynced: s.onSynced, OnError: s.storeFailed,
	}, r.record)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := r.finish(); err != nil {
		j.Close()
		return err
	}
	s.journal = j
	r.damaged = len(report.Damage) > 0
	for _, d := range report.Damage {
		s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%s: %s", dir, d)})
	}
	if report.Torn > 0 {
		s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%s: %d octets cut off that were not wholly written; nobody had been told that they were", dir, report.Torn)})
	}
	r.complain(dir)
	return nil
}

// storeFailed is called when a write or sync has failed.
func (s *Server) storeFailed(err error) {
	s.host.Note(Event{Kind: StoreFailed, Err: err})
	s.onSynced(s.journal.Synced())
}

// CloseStore waits until everything is on disk and gives the data directory
// free. The connections have to be gone. If none of them held messages, those
// that come back after the start are not marked as redelivered for it.
func (s *Server) CloseStore() error {
	if s.journal == nil {
		return nil
	}
	s.settleGone()
	if s.journal.Err() == nil && s.unacked == 0 {
		s.storeRedelivered()
		s.journal.Append([]byte{byte(recordClean)})
	}
	return s.journal.Close()
}

// storeRedelivered writes down which messages have been delivered before: while
// the broker runs only quorum queues do that.
func (s *Server) storeRedelivered() {
	for _, v := range s.vhosts {
		for _, q := range v.queues {
			if q.storeID == 0 || q.quorum {
				continue
			}
			q.each(func(e entry) {
				if e.msg.seq == 0 || !e.redelivered {
					return
				}
				if h := s.shelf.find(s.shelf.of(e.msg), q.storeID); h != nil && h.deliveries == 0 {
					s.writeDelivery(e.msg, h, 1)
				}
			})
		}
	}
}

// recovery takes records in and makes of them what there was.
type recovery struct {
	s        *Server
	topology *topology
	staged   *topology // what is being read after a record of the kind topology
	missing  uint64    // records that staged still lacks
	expected uint64    // number of the next of them
	live     map[uint64]uint32
	clean    bool
	p        publishing
	unread   int // records that are whole and make no sense
	orphans  int // messages of queues that there are not: deleted, or with their declarations lost
	damaged  bool
}

// record takes one record. Records of things that are unknown, because what came
// before is damaged, do nothing.
func (r *recovery) record(number uint64, b []byte) error {
	if len(b) == 0 {
		r.unread++
		return nil
	}
	kind, c := recordKind(b[0]), cursor{b: b[1:]}
	r.clean = kind == recordClean
	if r.staged != nil && number != r.expected {
		r.topology.merge(r.staged) // cut short: it knows nothing of what is not there
		r.staged = nil
	}
	switch kind {
	case recordMessage:
		r.message(number, &c)
	case recordGone:
		r.gone(&c)
	case recordDelivered:
		r.delivered(&c)
	case recordTopology:
		r.s.lastQueue = max(r.s.lastQueue, c.id())
		r.staged, r.missing, r.expected = newTopology(), c.number(), number+1
		r.s.mappedAt = number
		r.stage()
	case recordClean:
	default:
		if r.staged != nil {
			r.staged.record(kind, &c)
			r.missing--
			r.expected++
			r.stage()
		} else {
			r.topology.record(kind, &c)
		}
	}
	if c.bad {
		r.unread++
	}
	return nil
}

// stage makes a topology that was read whole the one that counts.
func (r *recovery) stage() {
	if r.missing == 0 {
		r.topology, r.staged = r.staged, nil
	}
}

func (r *recovery) message(number uint64, c *cursor) {
	id := c.number()
	k := kept{time: int64(c.number())}
	n := c.number()
	homes := r.s.queues[:0]
	for ; n > 0 && !c.bad; n-- {
		homes = append(homes, home{c.id(), uint32(c.number())})
	}
	r.s.queues = homes
	exchange, key := uint64(c.flags()), uint64(c.flags())
	bcc, props := c.number(), c.number()
	p := &r.p
	p.exchange, p.key = c.take(exchange), c.take(key)
	hidden := c.take(bcc)
	p.props = c.take(props)
	p.body = c.b
	if c.bad || len(homes) == 0 {
		c.bad = true
		return
	}
	if id == 0 {
		id = number
	}
	f := &r.s.shelf
	var m *message
	if old, ok := r.live[id]; ok {
		// Written again: only the place and the queues are new.
		m = r.s.slabs.at(old)
		f.unlink(m, f.of(m))
		f.clear(f.of(m))
	} else {
		if p.parse() != nil || p.check() != nil {
			c.bad = true
			return
		}
		p.bcc = append(p.bcc[:0], hidden...)
		m = r.s.newMessage(p)
		m.seq = id
		r.live[id] = m.id
	}
	at := f.of(m)
	*at = k
	for _, h := range homes {
		f.add(at, h)
	}
	f.append(m, at, number)
}

func (r *recovery) gone(c *cursor) {
	var queue, id int64
	for len(c.b) > 0 {
		queue += c.signed()
		id += c.signed()
		if c.bad {
			return
		}
		if m := r.find(uint64(id)); m != nil {
			r.drop(m, uint32(queue))
		}
	}
}

// find is the message of an id, nil if it is not, or no longer, there.
func (r *recovery) find(id uint64) *message {
	if at, ok := r.live[id]; ok {
		return r.s.slabs.at(at)
	}
	return nil
}

// drop takes a message out of a queue, and lets go of it after the last one.
func (r *recovery) drop(m *message, queue uint32) {
	f := &r.s.shelf
	k := f.of(m)
	if f.drop(k, queue) && k.queue == 0 {
		delete(r.live, m.seq)
		f.unlink(m, k)
		m.seq = 0
		r.s.release(m)
	}
}

func (r *recovery) delivered(c *cursor) {
	queue, id, deliveries := c.id(), c.number(), uint32(c.number())
	if m := r.find(id); m != nil && !c.bad {
		if h := r.s.shelf.find(r.s.shelf.of(m), queue); h != nil {
			h.deliveries = deliveries
		}
	}
}

// finish declares what there was and puts the messages into their queues.
func (r *recovery) finish() error {
	if r.staged != nil {
		r.topology.merge(r.staged)
	}
	queues, err := r.topology.declare(r.s)
	if err != nil {
		return err
	}
	ids := make([]uint64, 0, len(r.live))
	for id := range r.live {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare[uint64])
	for _, id := range ids {
		m := r.s.slabs.at(r.live[id])
		if !r.place(m, queues) {
			r.orphans++
		}
		r.s.release(m) // the queues have it
	}
	return nil
}

// place puts a message into its queues. Without a queue of its own it is in
// nobody's, and goes with its last reference.
func (r *recovery) place(m *message, queues map[uint32]*queue) (placed bool) {
	f := &r.s.shelf
	k := f.of(m)
	var gone []uint32
	f.each(k, func(h home) {
		q := queues[h.queue]
		if q == nil {
			gone = append(gone, h.queue)
			return
		}
		deliveries, redelivered := uint32(0), h.deliveries > 0
		if q.quorum {
			deliveries = h.deliveries
		} else {
			// Who had which message is not written down. It is safe to say
			// that somebody had it, and RabbitMQ does so too.
			redelivered = redelivered || !r.clean
		}
		q.restore(m, k.time*1e6, deliveries, redelivered)
		placed = true
	})
	for _, id := range gone {
		f.drop(k, id)
	}
	if !placed {
		f.unlink(m, k)
		m.seq = 0
	}
	return placed
}

// complain notes what could be read and not be used.
func (r *recovery) complain(dir string) {
	if r.unread > 0 {
		r.s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%s: %d records are whole, but this version cannot read them", dir, r.unread)})
	}
	if r.orphans > 0 && r.damaged {
		r.s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%s: %d messages are lost with the declarations of their queues", dir, r.orphans)})
	}
}
