package broker

import "math/bits"

// backlog is the ready messages of a queue: one lane for each priority, the
// highest first. Entries are kept as cells without Go pointers, in blocks, so
// that a long queue is cheap for the garbage collector.
type backlog struct {
	lanes []lane
	some  [4]uint64 // lanes that are not empty, a bit each
	n     int       // entries in all
}

// cell is an entry as it is kept.
type cell struct {
	id         uint32 // of the message
	deliveries uint32 // bit 31 is the redelivered flag
	order      uint64
	expires    int64
}

const (
	cellSize        = 24
	cellRedelivered = 1 << 31
	blockCells      = 128
	blockSpares     = 64 // empty blocks that a server keeps
)

// block is a piece of a lane's queue.
type block struct {
	next  *block
	cells [blockCells]cell
}

// blocks are the empty blocks of a server: a queue that is kept empty, and
// there may be many, has none.
type blocks struct {
	first *block
	n     int
}

func (l *blocks) take() *block {
	b := l.first
	if b == nil {
		return new(block)
	}
	l.first, b.next = b.next, nil
	l.n--
	return b
}

func (l *blocks) put(b *block) {
	b.next = nil
	if l.n < blockSpares {
		b.next, l.first = l.first, b
		l.n++
	}
}

// lane is a queue of one priority. New entries come to its end; those that come
// back go to their places by order, which are nearly always before all others.
type lane struct {
	head, tail     *block
	headAt, tailAt int    // the first cell in head, the end of the cells in tail
	returned       []cell // a heap by order
}

func (l *lane) empty() bool { return l.head == nil && len(l.returned) == 0 }

// append adds a cell with an order above all others.
func (l *lane) append(c cell, spare *blocks) {
	switch {
	case l.head == nil:
		l.head = spare.take()
		l.tail, l.headAt, l.tailAt = l.head, 0, 0
	case l.tailAt == blockCells:
		l.tail.next = spare.take()
		l.tail, l.tailAt = l.tail.next, 0
	}
	l.tail.cells[l.tailAt] = c
	l.tailAt++
}

// first is the cell that pop would take. The lane is not empty.
func (l *lane) first() *cell {
	if len(l.returned) > 0 && (l.head == nil || l.returned[0].order < l.head.cells[l.headAt].order) {
		return &l.returned[0]
	}
	return &l.head.cells[l.headAt]
}

// pop takes the cell with the lowest order. The lane is not empty.
func (l *lane) pop(spare *blocks) cell {
	c := *l.first()
	if len(l.returned) > 0 && l.returned[0].order == c.order {
		l.popReturned()
		return c
	}
	l.headAt++
	switch {
	case l.head == l.tail && l.headAt == l.tailAt:
		spare.put(l.head)
		l.head, l.tail = nil, nil
	case l.headAt == blockCells:
		b := l.head
		l.head, l.headAt = b.next, 0
		spare.put(b)
	}
	return c
}

// put adds a cell that has been in the lane before.
func (l *lane) put(c cell) {
	h := append(l.returned, c)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].order <= h[i].order {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
	l.returned = h
}

func (l *lane) popReturned() {
	h := l.returned
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].order < h[least].order {
				least = child
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	if last == 0 && cap(h) > blockCells {
		h = nil // one large requeue must not hold memory for ever
	}
	l.returned = h
}

// init makes a backlog of n lanes.
func (b *backlog) init(n int) { b.lanes = make([]lane, n) }

func (b *backlog) append(lane int, c cell, spare *blocks) {
	b.lanes[lane].append(c, spare)
	b.added(lane)
}

func (b *backlog) put(lane int, c cell) {
	b.lanes[lane].put(c)
	b.added(lane)
}

func (b *backlog) added(lane int) {
	b.some[lane>>6] |= 1 << (lane & 63)
	b.n++
}

// top is the highest lane that is not empty. The backlog is not.
func (b *backlog) top() int {
	for i := len(b.some) - 1; i > 0; i-- {
		if b.some[i] != 0 {
			return i<<6 + 63 - bits.LeadingZeros64(b.some[i])
		}
	}
	return 63 - bits.LeadingZeros64(b.some[0])
}

// first is the cell that pop would take. The backlog is not empty.
func (b *backlog) first() *cell { return b.lanes[b.top()].first() }

// pop takes the first cell of the highest lane. The backlog is not empty.
func (b *backlog) pop(spare *blocks) cell {
	top := b.top()
	l := &b.lanes[top]
	c := l.pop(spare)
	if l.empty() {
		b.some[top>>6] &^= 1 << (top & 63)
	}
	b.n--
	return c
}

// each calls fn with all cells: by lane, the highest first, and within it those
// that came back before the others.
func (b *backlog) each(fn func(c cell)) {
	for i := len(b.lanes) - 1; i >= 0; i-- {
		l := &b.lanes[i]
		for _, c := range l.returned {
			fn(c)
		}
		at := l.headAt
		for k := l.head; k != nil; k, at = k.next, 0 {
			end := blockCells
			if k == l.tail {
				end = l.tailAt
			}
			for ; at < end; at++ {
				fn(k.cells[at])
			}
		}
	}
}
