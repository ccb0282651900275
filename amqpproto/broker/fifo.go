package broker

// fifo is a list to which things are added at the end and from which they are taken
// at the beginning. It grows without moving its contents, because it may hold a
// million things.
type fifo[T any] struct {
	blocks [][]T
	head   int // index in the first block; everything before it has been taken
	n      int
}

// fifoBlock is the number of things in a block.
const fifoBlock = 256

func (p *fifo[T]) push(v T) {
	last := len(p.blocks) - 1
	if last < 0 || len(p.blocks[last]) == fifoBlock {
		p.blocks = append(p.blocks, nil)
		last++
	}
	p.blocks[last] = append(p.blocks[last], v)
	p.n++
}

// first returns the first thing. The list must not be empty.
func (p *fifo[T]) first() *T { return &p.blocks[0][p.head] }

// shift removes the first thing. The list must not be empty.
func (p *fifo[T]) shift() T {
	var none T
	v := p.blocks[0][p.head]
	p.blocks[0][p.head] = none
	p.head++
	if p.n--; p.head == len(p.blocks[0]) {
		p.blocks[0] = nil
		p.blocks, p.head = p.blocks[1:], 0
	}
	return v
}
