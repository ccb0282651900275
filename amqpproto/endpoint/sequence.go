package endpoint

// Sequence holds what has a number on a channel and is not settled: publishes by the
// number of their confirm, deliveries by their delivery tag. Both ends count from 1 and
// without a gap, so a ring is enough and no map is needed. A number that is settled out
// of order stays as a hole until all numbers before it are removed.
//
// The ring is made of blocks, so that it grows by moving pointers to them. One array
// would be copied as a whole, which takes many milliseconds for a million numbers. Only a
// ring that is shorter than a block is copied.
//
// The zero value is empty, and its first number is 0; Reset makes that 1.
type Sequence[T any] struct {
	blocks     [][]T  // a power of two of them, or none; each has blockLen entries, but a single one may have fewer
	mask       uint64 // Cap()-1: number n is at n&mask
	base, next uint64
}

const (
	// sequenceMin is the smallest length of a ring.
	sequenceMin = 16

	blockShift = 8
	// blockLen is the length of a block. A ring that has several blocks uses each for one
	// multiple of blockLen at a time.
	blockLen = 1 << blockShift
)

// Base returns the first number of the sequence or, if it is empty, the next one.
func (s *Sequence[T]) Base() uint64 { return s.base }

// Next returns the number that the next Push will give out.
func (s *Sequence[T]) Next() uint64 { return s.next }

// Len returns how many numbers the sequence spans, holes included.
func (s *Sequence[T]) Len() int { return int(s.next - s.base) }

// Cap returns the length of the ring, a power of two or 0. A ring of several blocks may
// grow a little earlier than when it is full.
func (s *Sequence[T]) Cap() int {
	if len(s.blocks) == 0 {
		return 0
	}
	return int(s.mask) + 1
}

// Full reports whether the next Push makes the ring grow.
func (s *Sequence[T]) Full() bool {
	if len(s.blocks) <= 1 {
		return s.Len() == s.Cap()
	}
	return int(s.next>>blockShift-s.base>>blockShift) == len(s.blocks)
}

// Has reports whether the sequence spans a number.
func (s *Sequence[T]) Has(n uint64) bool { return n >= s.base && n < s.next }

// At returns the entry of a number in the sequence. The pointer is valid until the next
// Push.
func (s *Sequence[T]) At(n uint64) *T {
	i := n & s.mask
	return &s.blocks[i>>blockShift][i&(blockLen-1)]
}

// Push gives out the next number. Its entry is zero, and the pointer to it is valid until
// the next Push.
func (s *Sequence[T]) Push() *T {
	if s.Full() {
		s.resize(max(sequenceMin, 2*s.Cap()))
	}
	i := s.next & s.mask
	b := &s.blocks[i>>blockShift]
	if *b == nil {
		*b = make([]T, blockLen)
	}
	s.next++
	return &(*b)[i&(blockLen-1)]
}

// resize gives the ring another length, which must be enough.
func (s *Sequence[T]) resize(length int) {
	old := *s
	s.mask = uint64(length - 1)
	s.blocks = make([][]T, max(1, length>>blockShift))
	if len(old.blocks) > 1 && len(s.blocks) > 1 {
		s.moveBlocks(&old)
		return
	}
	for i := range s.blocks {
		s.blocks[i] = make([]T, min(length, blockLen))
	}
	for n := old.base; n < old.next; n++ {
		*s.At(n) = *old.At(n)
	}
}

// moveBlocks takes the blocks of old that are used. Push makes the others when it needs them.
func (s *Sequence[T]) moveBlocks(old *Sequence[T]) {
	slots := uint64(len(s.blocks) - 1)
	for k := old.base >> blockShift; old.base < old.next && k <= (old.next-1)>>blockShift; k++ {
		s.blocks[k&slots] = old.blocks[k&uint64(len(old.blocks)-1)]
	}
}

// Pass removes the first number. The sequence must not be empty.
func (s *Sequence[T]) Pass() {
	var zero T
	*s.At(s.base) = zero
	s.base++
}

// Range returns which numbers an ack or nack of n is about: n alone or, with multiple,
// all from the first up to n, where n = 0 means the last. ok is false if the sequence
// does not span n. AMQP 0-9-1 §1.8.3.13.
func (s *Sequence[T]) Range(n uint64, multiple bool) (first, last uint64, ok bool) {
	first = n
	if multiple {
		first = s.base
		if n == 0 {
			n = s.next - 1
		}
	}
	return first, n, s.Has(n)
}

// Reset empties the sequence and begins it at 1, as on a new channel.
func (s *Sequence[T]) Reset() {
	switch {
	case len(s.blocks) > 1:
		s.free()
	case s.base < s.next:
		clear(s.blocks[0])
	}
	s.base, s.next = 1, 1
}

// Fit makes the ring as short as it may be for want numbers, and for those that the
// sequence spans. It never makes it longer.
func (s *Sequence[T]) Fit(want int) {
	length := sequenceMin
	for length < max(want, s.Len()) {
		length *= 2
	}
	if length > blockLen { // each block is for one multiple of blockLen
		for used := (s.next+blockLen-1)>>blockShift - s.base>>blockShift; length>>blockShift < int(used); {
			length *= 2
		}
	}
	if length < s.Cap() {
		s.resize(length)
	}
}

// Shrink frees the memory of a burst, if the sequence is empty and its ring is longer
// than keep.
func (s *Sequence[T]) Shrink(keep int) {
	if s.base == s.next && s.Cap() > keep {
		s.free()
	}
}

func (s *Sequence[T]) free() { s.blocks, s.mask = nil, 0 }
