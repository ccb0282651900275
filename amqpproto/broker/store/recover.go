package store

import (
	"cmp"
	"fmt"
	"slices"

	"zamqp/amqpproto/journal"
)

// recordSlack is more than the size of a message's record without the body.
const recordSlack = 4 << 20

// BodyMax is the longest body that a store takes.
const BodyMax = uint64(journal.RecordMax - recordSlack)

// Restorer receives what a store has kept, in the order of these methods: messages while they
// are read, then exchanges, queues and bindings, then the places of the messages in their
// queues. All calls come during Open.
type Restorer interface {
	// RestoreMessage returns the broker's id for a message; false says that it makes no
	// sense. The broker holds it until ReleaseMessage; stored says whether the store still
	// knows it then. The octets are valid until RestoreMessage returns.
	RestoreMessage(m Restored) (id uint32, ok bool)
	ReleaseMessage(id uint32, stored bool)

	RestoreExchange(x Exchange)
	RestoreQueue(q Queue) error
	// RestoreBinding gets the id of the queue, unless the binding is of an exchange.
	RestoreBinding(b Binding, queue uint32)

	// Enqueue adds a message to the queue with this id, at the end; false says that there is
	// no such queue. published is in milliseconds since 1970. redelivered says that the queue
	// has delivered it before.
	Enqueue(id, queue uint32, published int64, deliveries uint32, redelivered bool) bool
}

// Restored is a message that was read.
type Restored struct {
	Seq                             uint64
	Exchange, Key, BCC, Props, Body []byte
}

// Report is what was found in a store that is opened.
type Report struct {
	Damage []error // records that are lost, or cannot be read
	Torn   int64   // octets that were cut off the end: not wholly written before a crash, and never confirmed
}

// Open reads the store in dir, gives its content to r, and keeps it up to date from then on.
// The operator has to look at an error: a store does not open with less than it had, unless
// the missing part is lost.
func Open(dir string, o Options, owner Owner, r Restorer) (*Store, Report, error) {
	s := &Store{owner: owner}
	s.flush = s.flushNow
	rec := &recovery{s: s, to: r, topology: newTopology(), live: map[uint64]uint32{}}
	j, found, err := journal.Open(dir, journal.Options{
		SegmentSize: o.SegmentSize, FS: o.Files, Offload: owner.Offload, Reserve: o.Reserve,
		OnSegment: s.beginSegment, OnSynced: s.synced, OnError: owner.Failed, OnTrouble: owner.Trouble, After: s.callLater,
	}, rec.record)
	if err != nil {
		return nil, Report{}, err
	}
	s.journal = j
	s.slots, rec.exact, err = j.OpenSlotFile(rec.delivered)
	if err == nil {
		err = rec.finish()
	}
	if err == nil {
		err = s.slots.Write()
	}
	if err != nil {
		j.Close()
		return nil, Report{}, err
	}
	return s, rec.report(dir, found), nil
}

// recovery reads the records and rebuilds from them what existed.
type recovery struct {
	s        *Store
	to       Restorer
	topology *topology
	staged   *topology         // the parts that are being read after a record of the kind topology
	stagedAt uint64            // number of that record
	missing  uint64            // parts that staged still lacks
	live     map[uint64]uint32 // the broker's ids by the numbers of the messages
	exact    bool              // the slot file says which messages have been delivered
	unread   int               // records that are whole but make no sense
	orphans  int               // messages of queues that do not exist: deleted, or their declarations are lost
}

// record handles one record. Records of unknown things, whose earlier records are damaged, do
// nothing.
func (r *recovery) record(number uint64, b []byte) error {
	if len(b) == 0 {
		r.unread++
		return nil
	}
	kind, c := recordKind(b[0]), cursor{b: b[1:]}
	if r.staged != nil && kind != recordPart {
		r.topology.merge(r.staged) // cut short: things that it lacks may still exist
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

// part handles a part of a topology. If the beginning of the topology is lost, its parts only
// add to what is known.
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

// stage makes a complete topology the one that counts.
func (r *recovery) stage() {
	if r.missing == 0 {
		r.s.completeAt = r.stagedAt
		r.topology, r.staged = r.staged, nil
	}
}

func (r *recovery) message(number uint64, c *cursor) {
	id := c.number()
	time := int64(c.number())
	n := c.number()
	refs := r.s.refs[:0]
	for ; n > 0 && !c.bad; n-- {
		refs = append(refs, queueRef{queue: c.id(), deliveries: uint32(c.number())})
	}
	r.s.refs = refs
	exchange, key := uint64(c.flags()), uint64(c.flags())
	bcc, props := c.number(), c.number()
	m := Restored{Seq: number, Exchange: c.take(exchange), Key: c.take(key), BCC: c.take(bcc), Props: c.take(props)}
	m.Body = c.b
	if c.bad || len(refs) == 0 {
		c.bad = true
		return
	}
	if id != 0 {
		m.Seq = id
	}
	f := &r.s.index
	at, again := r.live[m.Seq] // written again, so that the old record can be deleted
	if !again {
		var ok bool
		if at, ok = r.to.RestoreMessage(m); !ok {
			c.bad = true
			return
		}
		r.live[m.Seq] = at
	}
	k := f.of(at)
	if again {
		for k.queue != 0 {
			f.drop(at, k, k.queue)
		}
		f.move(at, k, number)
	} else {
		*k = stored{}
		size := len(m.Exchange) + len(m.Key) + len(m.BCC) + len(m.Props) + len(m.Body)
		f.append(at, k, number, cost(size))
	}
	k.time = time
	for _, ref := range refs {
		f.add(at, k, ref)
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
		if at, ok := r.live[uint64(id)]; ok {
			r.drop(uint64(id), at, uint32(queue))
		}
	}
}

// drop removes a message from a queue, and releases it after the last one.
func (r *recovery) drop(seq uint64, id uint32, queue uint32) {
	f := &r.s.index
	k := f.of(id)
	if _, found := f.drop(id, k, queue); found && k.queue == 0 {
		delete(r.live, seq)
		r.remove(id, k)
		r.to.ReleaseMessage(id, false)
	}
}

// remove takes a message out of the index.
func (r *recovery) remove(id uint32, k *stored) {
	m := r.s.owner.Message(id)
	r.s.index.remove(id, k, m.cost())
}

// delivered uses a slot. It returns false if no queue has the message any more.
func (r *recovery) delivered(slot uint32, seq, value uint64) bool {
	id, ok := r.live[seq]
	if !ok {
		return false
	}
	ref := r.s.index.find(id, r.s.index.of(id), uint32(value>>32))
	if ref == nil || ref.slot != 0 {
		return false
	}
	ref.slot, ref.deliveries = slot+1, max(ref.deliveries, uint32(value))
	return true
}

// finish declares everything and puts the messages into their queues.
func (r *recovery) finish() error {
	if r.staged != nil {
		r.topology.merge(r.staged)
	}
	if err := r.topology.restore(r.s, r.to); err != nil {
		return err
	}
	seqs := make([]uint64, 0, len(r.live))
	for seq := range r.live {
		seqs = append(seqs, seq)
	}
	slices.SortFunc(seqs, cmp.Compare[uint64])
	for _, seq := range seqs {
		id := r.live[seq]
		placed := r.place(seq, id)
		if !placed {
			r.orphans++
		}
		r.to.ReleaseMessage(id, placed) // the queues hold it now
	}
	return nil
}

// place puts a message into its queues. If none of them exists, nobody holds the message, and
// it goes with its last reference.
func (r *recovery) place(seq uint64, id uint32) (placed bool) {
	f := &r.s.index
	k := f.of(id)
	var gone []uint32
	f.each(k, func(ref *queueRef) {
		if !r.to.Enqueue(id, ref.queue, k.time, ref.deliveries, ref.slot != 0 || !r.exact) {
			gone = append(gone, ref.queue)
			return
		}
		if !r.exact && ref.slot == 0 {
			// It is safe to say that it was delivered, now and after the next crash.
			ref.slot = r.s.slots.Take(seq, uint64(ref.queue)<<32|uint64(ref.deliveries)) + 1
		}
		placed = true
	})
	for _, queue := range gone {
		if ref, _ := f.drop(id, k, queue); ref.slot != 0 {
			r.s.slots.Free(ref.slot-1, 0)
		}
	}
	if !placed {
		r.remove(id, k)
	}
	return placed
}

// report says what was damaged, and what could be read but not used.
func (r *recovery) report(dir string, found journal.Report) (rep Report) {
	rep.Torn = found.Torn
	for _, d := range found.Damage {
		rep.Damage = append(rep.Damage, fmt.Errorf("%s: %s", dir, d))
	}
	damaged := len(found.Damage) > 0
	if r.unread > 0 {
		rep.Damage = append(rep.Damage, fmt.Errorf("%s: %d records are whole, but this version cannot read them", dir, r.unread))
	}
	if r.orphans > 0 && damaged {
		rep.Damage = append(rep.Damage, fmt.Errorf("%s: %d messages are lost with the declarations of their queues", dir, r.orphans))
	}
	return rep
}
