package broker

// fifo is a list that things are added to at the end and taken from at the
// beginning. It grows without moving what is in it: there may be a million.
type fifo[T any] struct {
	blocks [][]T
	head   int // of the first block: what is before it is taken
	n      int
}

// fifoBlock is how many things are in a block.
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

// first is the first thing; there is one.
func (p *fifo[T]) first() *T { return &p.blocks[0][p.head] }

// shift takes the first thing away; there is one.
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
