package endpoint

// Sequence holds what has a number on a channel and is not settled: publishes by
// the number of their confirm, deliveries by their delivery tag. Both ends count
// for themselves, from 1 on and without a gap, so a ring needs no map. What is
// settled out of order stays as a hole until the first of the sequence passes it.
//
// The zero value is empty, and its first number is 0; Reset makes that 1.
type Sequence[T any] struct {
	ring       []T // its length is a power of two, or 0; number n is at n&(len-1)
	base, next uint64
}

// sequenceMin is the least length of a ring.
const sequenceMin = 16

// Base is the first number of the sequence; if it is empty, the next one.
func (s *Sequence[T]) Base() uint64 { return s.base }

// Next is the number that Push gives next.
func (s *Sequence[T]) Next() uint64 { return s.next }

// Len is how many numbers the sequence spans, holes included.
func (s *Sequence[T]) Len() int { return int(s.next - s.base) }

// Cap is how many fit before the ring grows.
func (s *Sequence[T]) Cap() int { return len(s.ring) }

// Has says whether the sequence spans a number.
func (s *Sequence[T]) Has(n uint64) bool { return n >= s.base && n < s.next }

// At is what a number of the sequence has. The pointer is good until the next Push.
func (s *Sequence[T]) At(n uint64) *T { return &s.ring[n&uint64(len(s.ring)-1)] }

// Push gives out the next number. What it has is zero, and the pointer to it good
// until the next Push.
func (s *Sequence[T]) Push() *T {
	if s.Len() == len(s.ring) {
		s.grow()
	}
	s.next++
	return s.At(s.next - 1)
}

func (s *Sequence[T]) grow() {
	old := *s
	s.ring = make([]T, max(sequenceMin, 2*len(old.ring)))
	for n := old.base; n < old.next; n++ {
		*s.At(n) = *old.At(n)
	}
}

// Pass lets go of the first number. The sequence is not empty.
func (s *Sequence[T]) Pass() {
	var zero T
	*s.At(s.base) = zero
	s.base++
}

// Pull takes the last number back: Push gives it again. The sequence is not empty.
func (s *Sequence[T]) Pull() {
	var zero T
	s.next--
	*s.At(s.next) = zero
}

// Range tells which numbers an ack or nack of n is about: n alone or, with
// multiple, all from the first up to n, where 0 stands for the last. ok is false
// if the sequence does not span n. AMQP 0-9-1 §1.8.3.13.
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

// Shrink gives back the memory of a burst if the sequence is empty and its ring
// longer than keep.
func (s *Sequence[T]) Shrink(keep int) {
	if s.base == s.next && len(s.ring) > keep {
		s.ring = nil
	}
}
