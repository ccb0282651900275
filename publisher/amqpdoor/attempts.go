package amqpdoor

import (
	"encoding/binary"
	"hash/maphash"

	"zamqp/publisher"
)

// attempts counts the failed attempts of messages that went back to their queue unchanged,
// because no queue of ours took them. A message is identified by a hash of what the broker
// does not change. Messages with equal hashes are interchangeable, so each hash has a list
// with one count for each of them.
type attempts struct {
	seed   maphash.Seed
	counts map[uint64][]int
	size   int
}

// attemptsMax bounds how many counts are kept. Over it one of them is dropped, and that
// message may be tried more often than its consumer's retry allows.
const attemptsMax = 1 << 16

func newAttempts() *attempts {
	return &attempts{seed: maphash.MakeSeed(), counts: map[uint64][]int{}}
}

// take returns how many attempts have failed for a redelivered message. known is false for a
// message that we did not give back.
func (a *attempts) take(c *publisher.Call) (failed int, known bool) {
	if a.size == 0 {
		return 0, false
	}
	h := a.hash(c)
	counts := a.counts[h]
	if len(counts) == 0 {
		return 0, false
	}
	failed = counts[0]
	a.size--
	if len(counts) == 1 {
		delete(a.counts, h)
	} else {
		a.counts[h] = append(counts[:0], counts[1:]...)
	}
	return failed, true
}

// put records how many attempts of a message have failed.
func (a *attempts) put(h uint64, failed int) {
	if a.size >= attemptsMax {
		for other, counts := range a.counts {
			a.size -= len(counts)
			delete(a.counts, other)
			break
		}
	}
	a.counts[h] = append(a.counts[h], failed)
	a.size++
}

// hashEnd is how many octets at each end of a body are hashed. Hashing a hundred megabytes
// would take as long as handling thousands of messages.
const hashEnd = 64 << 10

func (a *attempts) hash(c *publisher.Call) uint64 {
	m, r := c.Message(), c.Request()
	return a.hashOf(m.Exchange, m.RoutingKey, r.MessageID(), r.CorrelationID(), r.Body())
}

func (a *attempts) hashOf(exchange, key, id, correlation, body []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(a.seed)
	tail := []byte(nil)
	if n := len(body); n > 2*hashEnd {
		_ = binary.Write(&h, binary.LittleEndian, uint64(n)) // never fails
		body, tail = body[:hashEnd], body[n-hashEnd:]
	}
	for _, part := range [...][]byte{exchange, key, id, correlation, body, tail} {
		_, _ = h.Write(part)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
