package broker

import (
	"slices"
	"unsafe"
)

// delivery is a message that was delivered and is not acked.
type delivery struct {
	entry
	tag      uint64
	queue    *queue    // nil = settled
	consumer *consumer // nil = basic.get
}

// deliverySize is the memory of an unacked delivery, in octets.
const deliverySize = int64(unsafe.Sizeof(delivery{}))

// unacked is the unacked deliveries of a channel, in the order of their delivery tags. A
// delivery that is settled out of order leaves a hole.
//
// The deliveries are in blocks, and holes are closed in one or two blocks at a time: however
// many deliveries there are, no settlement and no delivery moves more than a block. So one
// message that stays unacked for ever costs no room for others. The client's window of
// tags is an octet for each, which is not worth this.
type unacked struct {
	blocks []*unackedBlock // none is empty
	spare  *unackedBlock   // is empty, for the next delivery; may be nil
	live   int             // deliveries, without holes
	moved  int             // deliveries that were moved to close holes, ever
}

const (
	// unackedBlockMax is how many deliveries fit into a block.
	unackedBlockMax = 256
	// unackedBlockMin is the capacity with which the only block begins.
	unackedBlockMin = 16
)

// unackedBlock has deliveries and holes.
type unackedBlock struct {
	places []delivery
	head   int // the first place in use, which is no hole
	live   int
}

func (b *unackedBlock) first() *delivery { return &b.places[b.head] }

// squeeze takes the holes out. It returns how many deliveries it has moved.
func (b *unackedBlock) squeeze() (moved int) {
	kept := b.places[:0]
	for i := b.head; i < len(b.places); i++ {
		if b.places[i].queue != nil {
			kept = append(kept, b.places[i])
		}
	}
	clear(b.places[len(kept):])
	b.places, b.head = kept, 0
	return len(kept)
}

// len is how many deliveries there are.
func (l *unacked) len() int { return l.live }

// first is the delivery with the lowest tag. There is one.
func (l *unacked) first() *delivery { return l.blocks[0].first() }

// push appends a delivery.
func (l *unacked) push(d delivery) {
	var b *unackedBlock
	if n := len(l.blocks); n > 0 {
		b = l.blocks[n-1]
	}
	switch {
	case b == nil:
		b = l.add(unackedBlockMin)
	case len(b.places) < cap(b.places):
	case b.live <= len(b.places)/2:
		l.moved += b.squeeze()
	case cap(b.places) < unackedBlockMax:
		b.places = append(make([]delivery, 0, 2*cap(b.places)), b.places...)
	default:
		b = l.add(unackedBlockMax)
	}
	b.places = append(b.places, d)
	b.live++
	l.live++
}

// add appends an empty block.
func (l *unacked) add(capacity int) *unackedBlock {
	b := l.spare
	if l.spare = nil; b == nil || cap(b.places) < capacity {
		b = &unackedBlock{places: make([]delivery, 0, capacity)}
	}
	l.blocks = append(l.blocks, b)
	return b
}

// drop removes a block that has only holes.
func (l *unacked) drop(i int) {
	b := l.blocks[i]
	l.blocks = slices.Delete(l.blocks, i, i+1)
	b.places, b.head, b.live = b.places[:0], 0, 0
	l.spare = b
}

// find returns the block and the place of a tag; ok is false if it is not there.
func (l *unacked) find(tag uint64) (block, place int, ok bool) {
	low, high := 0, len(l.blocks) // the number of blocks that begin before the tag or with it
	for low < high {
		if mid := int(uint(low+high) >> 1); l.blocks[mid].first().tag <= tag {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0, 0, false
	}
	place, ok = l.blocks[low-1].find(tag)
	return low - 1, place, ok
}

// find returns the place of a tag, which is not lower than the first.
func (b *unackedBlock) find(tag uint64) (place int, ok bool) {
	// Without holes squeezed out, tags are contiguous and this is the place.
	if i := uint64(b.head) + tag - b.first().tag; i < uint64(len(b.places)) && b.places[i].tag == tag {
		return int(i), b.places[i].queue != nil
	}
	low, high := b.head, len(b.places)
	for low < high {
		if mid := int(uint(low+high) >> 1); b.places[mid].tag < tag {
			low = mid + 1
		} else {
			high = mid
		}
	}
	ok = low < len(b.places) && b.places[low].tag == tag && b.places[low].queue != nil
	return low, ok
}

// take appends to dst what an ack of tag settles and takes it out: the one
// delivery or, with multiple, all up to it; tag 0 is all. ok is false if the
// tag is not there.
func (l *unacked) take(dst []delivery, tag uint64, multiple bool) (_ []delivery, ok bool) {
	if tag == 0 && multiple {
		for l.live > 0 {
			dst = append(dst, l.shift())
		}
		return dst, true
	}
	block, place, ok := l.find(tag)
	if !ok {
		return dst, false
	}
	if multiple {
		for l.live > 0 && l.first().tag <= tag {
			dst = append(dst, l.shift())
		}
		return dst, true
	}
	d := &l.blocks[block].places[place]
	dst = append(dst, *d)
	*d = delivery{tag: tag} // for find
	l.settled(block)
	return dst, true
}

// shift takes the first delivery out. There is one.
func (l *unacked) shift() delivery {
	p := l.first()
	d := *p
	*p = delivery{}
	l.settled(0)
	return d
}

// settled is called when a delivery of a block has become a hole.
func (l *unacked) settled(block int) {
	b := l.blocks[block]
	l.live--
	if b.live--; b.live == 0 {
		l.drop(block)
		return
	}
	for b.first().queue == nil {
		b.head++
	}
	if b.live <= unackedBlockMax/4 && len(l.blocks) > 1 {
		l.join(block)
	}
}

// join makes one of a block with few deliveries and one next to it, if both are at most half
// of a block. So there are at most four times as many places as deliveries, and a block more.
func (l *unacked) join(block int) {
	const most = unackedBlockMax / 2
	switch n := l.blocks[block].live; {
	case block > 0 && l.blocks[block-1].live+n <= most:
		block--
	case block+1 < len(l.blocks) && l.blocks[block+1].live+n <= most:
	default:
		return
	}
	b, next := l.blocks[block], l.blocks[block+1]
	l.moved += b.squeeze() + next.squeeze()
	b.places = append(b.places, next.places...)
	b.live += next.live
	clear(next.places)
	l.drop(block + 1)
}

// upTo is how many an ack of all up to tag settles, at most; 0 if the tag is not
// there.
func (l *unacked) upTo(tag uint64) (n int) {
	if tag == 0 {
		return l.live
	}
	block, place, ok := l.find(tag)
	if !ok {
		return 0
	}
	for _, b := range l.blocks[:block] {
		n += b.live
	}
	return n + place - l.blocks[block].head + 1
}
