package broker

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"zamqp/amqpproto/journal"
)

// storeName is the directory of the store in Options.DataDir.
const storeName = "broker"

// recordSlack is more than what a message's record has besides the body.
const recordSlack = 4 << 20

// openStore reads what is in the data directory, and keeps it up to date from
// then on. The error is one that the operator has to look at: the broker does
// not start with less than what it had, unless that is lost.
func (s *Server) openStore() error {
	if s.opts.DataDir == "" {
		return nil
	}
	if most := uint64(journal.RecordMax - recordSlack); s.opts.BodyMax > most {
		return fmt.Errorf("broker: with a data directory a body may have at most %d octets, and BodyMax is %d", most, s.opts.BodyMax)
	}
	s.flush = s.flushStore
	s.disk.lookAt = math.MaxInt64
	r := &recovery{s: s, topology: newTopology(), live: map[uint64]uint32{}}
	dir := filepath.Join(s.opts.DataDir, storeName)
	j, report, err := journal.Open(dir, journal.Options{
		SegmentSize: s.opts.SegmentSize, FS: s.opts.Files, Offload: s.host.Offload,
		OnSegment: s.beginSegment, OnSynced: s.storeSynced, OnError: s.storeFailed,
		OnTrouble: s.storeTroubled, After: s.storeLater, Reserve: s.opts.Reserve,
	}, r.record)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	s.board, r.exact, err = j.OpenBoard(r.handed)
	if err == nil {
		err = r.finish()
	}
	if err == nil {
		err = s.board.Write()
	}
	if err != nil {
		j.Close()
		return fmt.Errorf("broker: %w", err)
	}
	s.journal = j
	r.damaged = len(report.Damage) > 0
	for _, d := range report.Damage {
		s.host.Note(Event{Kind: StoreReported, Err: fmt.Errorf("%s: %s", dir, d)})
	}
	if report.Torn > 0 {
		s.host.Note(Event{Kind: StoreCut, Octets: report.Torn})
	}
	r.complain(dir)
	return nil
}

func (s *Server) storeSynced(seq uint64) {
	s.board.Again()
	s.board.Reuse(seq)
	s.caughtUp()
	s.onSynced(seq)
	s.weigh()
}

// storeLater has the journal called by Tick.
func (s *Server) storeLater(wait time.Duration, fn func()) {
	s.retry, s.retryAt = fn, s.now()+int64(wait)
	s.wakeAt(s.retryAt)
}

// tickStore calls the journal if it is due, and returns when it will be.
func (s *Server) tickStore(now int64) (next int64) {
	if fn := s.retry; fn != nil && now >= s.retryAt {
		s.retry = nil
		fn()
	}
	if s.retry == nil {
		return 0
	}
	return s.retryAt
}

// storeFailed is called when what has failed will not pass.
func (s *Server) storeFailed(err error) {
	s.host.Note(Event{Kind: StoreFailed, Err: err})
	s.onSynced(s.journal.Synced())
	s.weigh()
}

// CloseStore waits until everything is on disk and gives the data directory
// free. The connections have to be gone.
func (s *Server) CloseStore() error {
	if s.journal == nil {
		return nil
	}
	s.settleGone()
	err := s.journal.Close()
	if berr := s.board.Close(); err == nil {
		err = berr
	}
	return err
}

// recovery takes records in and makes of them what there was.
type recovery struct {
	s        *Server
	topology *topology
	staged   *topology // what is being read after a record of the kind topology
	stagedAt uint64    // number of that record
	missing  uint64    // parts that staged still lacks
	live     map[uint64]uint32
	exact    bool // it is known who had which message
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
	if r.staged != nil && kind != recordPart {
		r.topology.merge(r.staged) // cut short: it says nothing about what is not in it
		r.staged = nil
	}
	switch kind {
	case recordMessage:
		r.message(number, &c)
	case recordGone:
		r.gone(&c)
	case recordTopology:
		r.s.lastQueue = max(r.s.lastQueue, c.id())
		r.staged, r.stagedAt, r.missing = newTopology(), number, c.number()
		r.stage()
	case recordPart:
		r.part(&c)
	default:
		r.topology.record(kind, &c)
	}
	if c.bad {
		r.unread++
	}
	return nil
}

// part takes a part of a topology. One whose beginning is lost only adds to what
// is known.
func (r *recovery) part(c *cursor) {
	of := c.number()
	kind := recordKind(c.flags())
	if r.staged == nil || of != r.stagedAt {
		r.topology.record(kind, c)
		return
	}
	r.staged.record(kind, c)
	r.missing--
	r.stage()
}

// stage makes a topology that was read whole the one that counts.
func (r *recovery) stage() {
	if r.missing == 0 {
		r.s.mappedAt = r.stagedAt
		r.topology, r.staged = r.staged, nil
	}
}

func (r *recovery) message(number uint64, c *cursor) {
	id := c.number()
	time := int64(c.number())
	n := c.number()
	homes := r.s.queues[:0]
	for ; n > 0 && !c.bad; n-- {
		homes = append(homes, home{queue: c.id(), deliveries: uint32(c.number())})
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
	m := r.find(id)
	again := m != nil // written once more, so that the old record may go
	if !again {
		if p.parse() != nil || p.check() != nil {
			c.bad = true
			return
		}
		p.bcc = append(p.bcc[:0], hidden...)
		m = r.s.newMessage(p)
		m.seq = id
		r.live[id] = m.id
	}
	k := f.of(m)
	if again {
		for k.queue != 0 {
			f.drop(k, k.queue)
		}
		f.move(m, k, number)
	} else {
		*k = kept{}
		f.append(m, k, number)
		r.s.memory += keptSize
	}
	k.time = time
	for _, h := range homes {
		f.add(k, h)
	}
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
	if _, found := f.drop(k, queue); found && k.queue == 0 {
		delete(r.live, m.seq)
		r.s.unshelve(m, k)
		r.s.release(m)
	}
}

// handed takes a slot of the board: false if nobody has the message any more.
func (r *recovery) handed(slot uint32, id, value uint64) bool {
	m := r.find(id)
	if m == nil {
		return false
	}
	h := r.s.shelf.find(r.s.shelf.of(m), uint32(value>>32))
	if h == nil || h.slot != 0 {
		return false
	}
	h.slot, h.deliveries = slot+1, max(h.deliveries, uint32(value))
	return true
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
	f.each(k, func(h *home) {
		q := queues[h.queue]
		if q == nil {
			gone = append(gone, h.queue)
			return
		}
		deliveries := uint32(0)
		if q.quorum {
			deliveries = h.deliveries
		}
		if !r.exact && h.slot == 0 {
			// It is safe to say that somebody had it, now and after the next crash.
			h.slot = r.s.board.Take(m.seq, uint64(h.queue)<<32|uint64(h.deliveries)) + 1
		}
		q.restore(m, k.time*1e6, deliveries, h.slot != 0)
		placed = true
	})
	for _, id := range gone {
		if h, _ := f.drop(k, id); h.slot != 0 {
			r.s.board.Free(h.slot-1, 0)
		}
	}
	if !placed {
		r.s.unshelve(m, k)
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
