package store

// stored is what the store knows about a message: where its record is, and which
// durable queues still have it. It has no pointers, so that a million of them cost
// the garbage collector nothing.
type stored struct {
	at         uint64 // number of the message's newest record
	time       int64  // time of the publish, milliseconds since 1970
	prev, next uint32 // neighbours in the order of records: message ids plus one, 0 = none
	queueRef          // the first queue that has it; queue is 0 when no queue has the message
	more       uint32 // further queues: place in index.nodes, 0 = none
}

// queueRef is a queue that has a message.
type queueRef struct {
	queue      uint32 // its id
	deliveries uint32 // how often it has delivered the message
	slot       uint32 // in the slot file, plus one; 0 = none: never delivered
}

// refNode is a queueRef in a list, for messages in several queues.
type refNode struct {
	queueRef
	next, prev uint32 // 0 = none
	depth      uint32 // how many nodes were behind it when it was added
}

// wideFrom is how many queues besides the first a message has when its nodes get a
// map. Without the map, going through the list for each ack would take quadratic
// time.
const wideFrom = 32

// index is the stored messages by id, and in the order of their records.
type index struct {
	chunks      [][]stored // nil where no message is stored
	counts      []int      // of messages stored, by chunk
	spare       []stored   // a chunk to use again
	first, last uint32     // message ids plus one
	nodes       []refNode
	free        uint32                       // the list of unused nodes
	wide        map[uint32]map[uint32]uint32 // of messages in many queues: their nodes by queue
	looks       int                          // how many nodes were looked at, ever
	n           int
	live        int64 // octets of the newest records of the stored messages, roughly
}

// A chunk of the index holds this many consecutive ids.
const (
	chunkBits     = 14
	chunkMessages = 1 << chunkBits
)

// of returns the entry of a message that is in the index, or about to be appended.
func (f *index) of(id uint32) *stored {
	number := int(id >> chunkBits)
	for number >= len(f.chunks) {
		f.chunks = append(f.chunks, nil)
		f.counts = append(f.counts, 0)
	}
	if f.chunks[number] == nil {
		if f.spare == nil {
			f.spare = make([]stored, chunkMessages)
		}
		f.chunks[number], f.spare = f.spare, nil
	}
	return &f.chunks[number][id&(chunkMessages-1)]
}

func (f *index) at(id uint32) *stored { return &f.chunks[id>>chunkBits][id&(chunkMessages-1)] }

// pin keeps the entry of a message that is about to be appended. unpin comes before
// append.
func (f *index) pin(id uint32)   { f.counts[id>>chunkBits]++ }
func (f *index) unpin(id uint32) { f.counts[id>>chunkBits]-- }

// append puts a message at the end, because its record is the newest. The record
// takes about cost octets.
func (f *index) append(id uint32, k *stored, at uint64, cost int64) {
	f.link(id, k, at)
	f.n++
	f.counts[id>>chunkBits]++
	f.live += cost
}

// move puts a message that is in the index at the end, because it has a new record.
func (f *index) move(id uint32, k *stored, at uint64) {
	f.unlink(k)
	f.link(id, k, at)
}

// remove deletes a message. k must not be used after it.
func (f *index) remove(id uint32, k *stored, cost int64) {
	f.unlink(k)
	f.n--
	f.live -= cost
	number := id >> chunkBits
	f.counts[number]--
	if f.counts[number] == 0 {
		f.spare, f.chunks[number] = f.chunks[number], nil
	}
}

func (f *index) link(id uint32, k *stored, at uint64) {
	k.at, k.prev, k.next = at, f.last, 0
	if f.last != 0 {
		f.at(f.last - 1).next = id + 1
	} else {
		f.first = id + 1
	}
	f.last = id + 1
}

func (f *index) unlink(k *stored) {
	if k.prev != 0 {
		f.at(k.prev - 1).next = k.next
	} else {
		f.first = k.next
	}
	if k.next != 0 {
		f.at(k.next - 1).prev = k.prev
	} else {
		f.last = k.prev
	}
}

// add adds a queue to those that have the message.
func (f *index) add(id uint32, k *stored, r queueRef) {
	if k.queue == 0 {
		k.queueRef = r
		return
	}
	if len(f.nodes) == 0 {
		f.nodes = append(f.nodes, refNode{}) // 0 is none
	}
	i := f.free
	if i != 0 {
		f.free = f.nodes[i].next
	} else {
		i = uint32(len(f.nodes))
		f.nodes = append(f.nodes, refNode{})
	}
	n := refNode{queueRef: r, next: k.more}
	if k.more != 0 {
		f.nodes[k.more].prev = i
		n.depth = f.nodes[k.more].depth + 1
	}
	f.nodes[i] = n
	k.more = i
	if nodes := f.nodesOf(id); nodes != nil {
		nodes[r.queue] = i
	} else if n.depth == wideFrom {
		f.widen(id, k)
	}
}

// nodesOf returns the map of a message that is in many queues, or nil if it is in
// few.
func (f *index) nodesOf(id uint32) map[uint32]uint32 {
	if len(f.wide) == 0 {
		return nil // nearly always the case
	}
	return f.wide[id]
}

func (f *index) widen(id uint32, k *stored) {
	nodes := make(map[uint32]uint32, 2*wideFrom)
	for i := k.more; i != 0; i = f.nodes[i].next {
		nodes[f.nodes[i].queue] = i
	}
	if f.wide == nil {
		f.wide = map[uint32]map[uint32]uint32{}
	}
	f.wide[id] = nodes
}

// locate returns the node of a queue, or 0 if that queue has none.
func (f *index) locate(id uint32, k *stored, queue uint32) uint32 {
	if nodes := f.nodesOf(id); nodes != nil {
		return nodes[queue]
	}
	for i := k.more; i != 0; i = f.nodes[i].next {
		if f.looks++; f.nodes[i].queue == queue {
			return i
		}
	}
	return 0
}

// find returns a queue's ref of the message, or nil if that queue does not have it.
// The ref is valid until the next add.
func (f *index) find(id uint32, k *stored, queue uint32) *queueRef {
	if k.queue == queue {
		return &k.queueRef
	}
	if i := f.locate(id, k, queue); i != 0 {
		return &f.nodes[i].queueRef
	}
	return nil
}

// drop removes a queue from those that have the message. After the last one k.queue
// is 0.
func (f *index) drop(id uint32, k *stored, queue uint32) (dropped queueRef, found bool) {
	if k.queue == queue {
		dropped, k.queueRef = k.queueRef, queueRef{}
		if i := k.more; i != 0 {
			k.queueRef = f.release(id, k, i)
		}
		return dropped, true
	}
	if i := f.locate(id, k, queue); i != 0 {
		return f.release(id, k, i), true
	}
	return queueRef{}, false
}

// release takes a node out of a message's list and frees it.
func (f *index) release(id uint32, k *stored, i uint32) queueRef {
	n := f.nodes[i]
	if n.prev != 0 {
		f.nodes[n.prev].next = n.next
	} else {
		k.more = n.next
	}
	if n.next != 0 {
		f.nodes[n.next].prev = n.prev
	}
	f.nodes[i] = refNode{next: f.free}
	f.free = i
	if nodes := f.nodesOf(id); nodes != nil {
		if delete(nodes, n.queue); len(nodes) == 0 {
			delete(f.wide, id)
		}
	}
	return n.queueRef
}

// each calls fn with all queues that have the message. fn may change the ref, but
// must not add or drop queues.
func (f *index) each(k *stored, fn func(r *queueRef)) {
	if k.queue == 0 {
		return
	}
	fn(&k.queueRef)
	for i := k.more; i != 0; i = f.nodes[i].next {
		fn(&f.nodes[i].queueRef)
	}
}
