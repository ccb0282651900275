package amqpdoor

import (
	"hash/maphash"

	"zamqp/publisher"
)

// attempts counts the failed attempts of messages that went back to their
// queue, since a classic queue does not. A message is known by a hash of what
// the broker leaves as it is; messages that are the same in all of that can
// stand for each other, so each hash has one count for each of them.
type attempts struct {
	seed   maphash.Seed
	counts map[uint64][]int
	size   int
}

// attemptsMax bounds what is remembered. Over it something is forgotten: a
// message may then be tried more often than its consumer's retry says.
const attemptsMax = 1 << 16

func newAttempts() *attempts {
	return &attempts{seed: maphash.MakeSeed(), counts: map[uint64][]int{}}
}

// take returns the number of the attempt that a redelivered message is at.
func (a *attempts) take(r *publisher.Request) int {
	if n := r.DeliveryCount(); n > 0 { // a quorum queue's own count
		return n + 1
	}
	if a.size == 0 {
		return 1
	}
	h := a.hash(r)
	counts := a.counts[h]
	if len(counts) == 0 {
		return 1
	}
	failed := counts[0]
	a.size--
	if len(counts) == 1 {
		delete(a.counts, h)
	} else {
		a.counts[h] = append(counts[:0], counts[1:]...)
	}
	return failed + 1
}

// put remembers that the attempt the message is at has failed.
func (a *attempts) put(r *publisher.Request) {
	if a.size >= attemptsMax {
		for h, counts := range a.counts {
			a.size -= len(counts)
			delete(a.counts, h)
			break
		}
	}
	h := a.hash(r)
	a.counts[h] = append(a.counts[h], r.Attempt())
	a.size++
}

func (a *attempts) hash(r *publisher.Request) uint64 {
	var h maphash.Hash
	h.SetSeed(a.seed)
	m := r.Message()
	for _, part := range [][]byte{m.Exchange, m.RoutingKey, r.MessageID(), r.CorrelationID(), r.Body()} {
		_, _ = h.Write(part)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
