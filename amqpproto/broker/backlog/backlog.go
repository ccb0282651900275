// Package backlog holds the ready messages of a queue in their order.
package backlog

import "math/bits"

// Backlog holds the ready messages of a queue in one lane for each priority, the
// highest first. They are cells without Go pointers, in blocks, so that a long
// queue is cheap for the garbage collector.
type Backlog struct {
	lanes []lane
	some  [4]uint64 // the lanes that are not empty: one bit for each
	n     int       // number of cells in all lanes
}

// Cell is a message's place in a queue.
type Cell struct {
	ID         uint32 // id of the message
	Deliveries uint32 // with the bit Redelivered
	Order      uint64
	Expires    int64
}

const (
	CellSize    = 24      // octets
	Redelivered = 1 << 31 // a bit of Cell.Deliveries
	blockCells  = 128
	blockSpares = 64 // how many empty blocks a server keeps
)

// block is a piece of a lane's queue.
type block struct {
	next  *block
	cells [blockCells]Cell
}

// Spare keeps the empty blocks of a server. Many queues may be nearly empty all the
// time, so an empty queue keeps no block of its own.
type Spare struct {
	first *block
	n     int
}

func (l *Spare) take() *block {
	b := l.first
	if b == nil {
		return new(block)
	}
	l.first, b.next = b.next, nil
	l.n--
	return b
}

func (l *Spare) put(b *block) {
	b.next = nil
	if l.n < blockSpares {
		b.next, l.first = l.first, b
		l.n++
	}
}

// lane is the queue of one priority. New cells go to its end. Cells that come back
// go to their place by order, which is nearly always before all others.
type lane struct {
	head, tail     *block
	headAt, tailAt int    // the first cell in head, and the end of the cells in tail
	returned       []Cell // a heap by order
}

func (l *lane) empty() bool { return l.head == nil && len(l.returned) == 0 }

// append adds a cell with an order above all others.
func (l *lane) append(c Cell, spare *Spare) {
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

// first returns the cell that pop would take. The lane must not be empty.
func (l *lane) first() *Cell {
	if len(l.returned) > 0 && (l.head == nil || l.returned[0].Order < l.head.cells[l.headAt].Order) {
		return &l.returned[0]
	}
	return &l.head.cells[l.headAt]
}

// pop takes the cell with the lowest order. The lane must not be empty.
func (l *lane) pop(spare *Spare) Cell {
	c := *l.first()
	if len(l.returned) > 0 && l.returned[0].Order == c.Order {
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

// put adds a cell that was in the lane before.
func (l *lane) put(c Cell) {
	h := append(l.returned, c)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].Order <= h[i].Order {
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
			if h[child].Order < h[least].Order {
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
		h = nil // so that one large requeue does not hold its memory for ever
	}
	l.returned = h
}

// Len returns the number of cells.
func (b *Backlog) Len() int { return b.n }

// Take removes all cells.
func (b *Backlog) Take() (all Backlog) {
	all = *b
	*b = Backlog{}
	b.Init(len(all.lanes))
	return all
}

// Init prepares a backlog with n lanes.
func (b *Backlog) Init(n int) { b.lanes = make([]lane, n) }

// Append adds a cell at the end of a lane. Its order is above all others.
func (b *Backlog) Append(lane int, c Cell, spare *Spare) {
	b.lanes[lane].append(c, spare)
	b.added(lane)
}

// Put adds a cell that was in the lane before, at its place by order.
func (b *Backlog) Put(lane int, c Cell) {
	b.lanes[lane].put(c)
	b.added(lane)
}

func (b *Backlog) added(lane int) {
	b.some[lane>>6] |= 1 << (lane & 63)
	b.n++
}

// Top returns the highest lane that is not empty. The backlog must not be empty.
func (b *Backlog) Top() int {
	for i := len(b.some) - 1; i > 0; i-- {
		if b.some[i] != 0 {
			return i<<6 + 63 - bits.LeadingZeros64(b.some[i])
		}
	}
	return 63 - bits.LeadingZeros64(b.some[0])
}

// First returns the cell that Pop would take. The backlog must not be empty.
func (b *Backlog) First() *Cell { return b.lanes[b.Top()].first() }

// Pop takes the first cell of the highest lane. The backlog must not be empty.
func (b *Backlog) Pop(spare *Spare) Cell {
	top := b.Top()
	l := &b.lanes[top]
	c := l.pop(spare)
	if l.empty() {
		b.some[top>>6] &^= 1 << (top & 63)
	}
	b.n--
	return c
}

// Each calls fn with all cells: lane by lane, the highest first. Within a lane,
// cells that came back come before the others.
func (b *Backlog) Each(fn func(c Cell)) {
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
