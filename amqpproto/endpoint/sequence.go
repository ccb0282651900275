package endpoint

// Sequence holds what has a number on a channel and is not settled: publishes by the
// number of their confirm, deliveries by their delivery tag. Both ends count from 1 and
// without a gap, so a ring is enough and no map is needed. A number that is settled out
// of order stays as a hole until all numbers before it are removed.
//
// The zero value is empty, and its first number is 0; Reset makes that 1.
type Sequence[T any] struct {
	ring       []T // its length is a power of two, or 0; number n is at n&(len-1)
	base, next uint64
}

// sequenceMin is the smallest length of a ring.
const sequenceMin = 16

// Base returns the first number of the sequence or, if it is empty, the next one.
func (s *Sequence[T]) Base() uint64 { return s.base }

// Next returns the number that the next Push will give out.
func (s *Sequence[T]) Next() uint64 { return s.next }

// Len returns how many numbers the sequence spans, holes included.
func (s *Sequence[T]) Len() int { return int(s.next - s.base) }

// Cap returns how many numbers fit before the ring grows.
func (s *Sequence[T]) Cap() int { return len(s.ring) }

// Has reports whether the sequence spans a number.
func (s *Sequence[T]) Has(n uint64) bool { return n >= s.base && n < s.next }

// At returns the entry of a number in the sequence. The pointer is valid until the next
// Push.
func (s *Sequence[T]) At(n uint64) *T { return &s.ring[n&uint64(len(s.ring)-1)] }

// Push gives out the next number. Its entry is zero, and the pointer to it is valid until
// the next Push.
func (s *Sequence[T]) Push() *T {
	if s.Len() == len(s.ring) {
		s.grow()
	}
	s.next++
	return s.At(s.next - 1)
}

func (s *Sequence[T]) grow() { s.move(max(sequenceMin, 2*len(s.ring))) }

// move moves the entries to a ring of another length.
func (s *Sequence[T]) move(length int) {
	old := *s
	s.ring = make([]T, length)
	for n := old.base; n < old.next; n++ {
		*s.At(n) = *old.At(n)
	}
}

// Pass removes the first number. The sequence must not be empty.
func (s *Sequence[T]) Pass() {
	var zero T
	*s.At(s.base) = zero
	s.base++
}

// Pull removes the last number: the next Push gives it out again. The sequence must not
// be empty.
func (s *Sequence[T]) Pull() {
	var zero T
	s.next--
	*s.At(s.next) = zero
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
	if s.base < s.next {
		clear(s.ring)
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
	if length < len(s.ring) {
		s.move(length)
	}
}

// Shrink frees the memory of a burst, if the sequence is empty and its ring is longer
// than keep.
func (s *Sequence[T]) Shrink(keep int) {
	if s.base == s.next && len(s.ring) > keep {
		s.ring = nil
	}
}
