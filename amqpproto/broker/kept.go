package broker

import "unsafe"

// kept is what the store knows about a stored message: where its record is, and
// which durable queues still have it. It lies beside the message, by the same
// id, and has no pointers either.
type kept struct {
	at         uint64 // number of the message's newest record
	time       int64  // of the publish, milliseconds since 1970
	prev, next uint32 // neighbours by at: message ids plus one, 0 = none
	home              // the first queue; queue is 0 when the message is not kept
	more       uint32 // further queues: place in the shelf's homes, 0 = none
}

// home is a queue that has a message.
type home struct {
	queue      uint32 // queue.storeID
	deliveries uint32 // how often it was handed out
	slot       uint32 // on the board, plus one; 0 = none, it never was handed out
}

// guest is a home in a list, for messages in several queues.
type guest struct {
	home
	next uint32
}

// shelf is the kept messages, in the order of their records.
type shelf struct {
	chunks      [][]kept // by slab; nil where nothing is kept
	counts      []int    // of messages kept, by chunk
	spare       []kept   // a chunk to be used again
	first, last uint32   // message ids plus one
	guests      []guest
	free        uint32 // unused guests
	n           int
	live        int64 // octets of the newest records of kept messages, about
}

// keptSize is what a message costs on the shelf, octets.
const keptSize = int64(unsafe.Sizeof(kept{}))

// of is the place of a message that is on the shelf, or about to be appended.
func (f *shelf) of(m *message) *kept {
	number := int(m.id >> slabBits)
	for number >= len(f.chunks) {
		f.chunks = append(f.chunks, nil)
		f.counts = append(f.counts, 0)
	}
	if f.chunks[number] == nil {
		if f.spare == nil {
			f.spare = make([]kept, slabMessages)
		}
		f.chunks[number], f.spare = f.spare, nil
	}
	return &f.chunks[number][m.id&(slabMessages-1)]
}

func (f *shelf) at(id uint32) *kept { return &f.chunks[id>>slabBits][id&(slabMessages-1)] }

// recordCost is about what m's record takes on disk.
func recordCost(m *message) int64 { return int64(m.size()-m.copied()) + int64(m.bodyLen) + 40 }

// append puts m at the end: its record is the newest.
func (f *shelf) append(m *message, k *kept, at uint64) {
	f.link(m, k, at)
	f.n++
	f.counts[m.id>>slabBits]++
	f.live += recordCost(m)
}

// move puts m, which is on the shelf, at the end.
func (f *shelf) move(m *message, k *kept, at uint64) {
	f.unlink(k)
	f.link(m, k, at)
}

// remove takes m off the shelf. k is void after it.
func (f *shelf) remove(m *message, k *kept) {
	f.unlink(k)
	f.n--
	f.live -= recordCost(m)
	number := m.id >> slabBits
	f.counts[number]--
	if f.counts[number] == 0 {
		f.spare, f.chunks[number] = f.chunks[number], nil
	}
}

func (f *shelf) link(m *message, k *kept, at uint64) {
	k.at, k.prev, k.next = at, f.last, 0
	if f.last != 0 {
		f.at(f.last - 1).next = m.id + 1
	} else {
		f.first = m.id + 1
	}
	f.last = m.id + 1
}

func (f *shelf) unlink(k *kept) {
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
func (f *shelf) add(k *kept, h home) {
	if k.queue == 0 {
		k.home = h
		return
	}
	if len(f.guests) == 0 {
		f.guests = append(f.guests, guest{}) // 0 is none
	}
	i := f.free
	if i != 0 {
		f.free = f.guests[i].next
	} else {
		i = uint32(len(f.guests))
		f.guests = append(f.guests, guest{})
	}
	f.guests[i] = guest{h, k.more}
	k.more = i
}

// find is a queue's home for the message; nil if that queue does not have it.
// It is valid until the next add.
func (f *shelf) find(k *kept, queue uint32) *home {
	if k.queue == queue {
		return &k.home
	}
	for i := k.more; i != 0; i = f.guests[i].next {
		if f.guests[i].queue == queue {
			return &f.guests[i].home
		}
	}
	return nil
}

// drop takes a queue away from those that have the message. After the last one
// k.queue is 0.
func (f *shelf) drop(k *kept, queue uint32) (dropped home, found bool) {
	if k.queue == queue {
		dropped, k.home = k.home, home{}
		if i := k.more; i != 0 {
			k.home, k.more = f.guests[i].home, f.guests[i].next
			f.release(i)
		}
		return dropped, true
	}
	for at := &k.more; *at != 0; at = &f.guests[*at].next {
		if i := *at; f.guests[i].queue == queue {
			dropped, *at = f.guests[i].home, f.guests[i].next
			f.release(i)
			return dropped, true
		}
	}
	return home{}, false
}

func (f *shelf) release(i uint32) {
	f.guests[i] = guest{next: f.free}
	f.free = i
}

// each calls fn with all queues that have the message. fn may change the home,
// and not which there are.
func (f *shelf) each(k *kept, fn func(h *home)) {
	if k.queue == 0 {
		return
	}
	fn(&k.home)
	for i := k.more; i != 0; i = f.guests[i].next {
		fn(&f.guests[i].home)
	}
}
