package client

import (
	"math/rand/v2"
	"time"
)

// stableAfter is how long something must have lived before its next failure
// counts as the first again. Resetting on success alone would let a broker that
// accepts and drops be dialled at the shortest delay for ever.
const stableAfter = time.Minute

// backoff spreads retries by full jitter: the delay is random between nothing
// and a ceiling that doubles from min to max, so that clients that lost the same
// broker at one instant do not come back at one instant.
type backoff struct {
	min, max time.Duration
	attempts uint8
	since    int64 // when it came up; 0 while down
}

// up notes that it works, from now on.
func (b *backoff) up(now int64) { b.since = max(now, 1) }

// next returns the delay before the next try.
func (b *backoff) next(rnd *rand.Rand, now int64) time.Duration {
	if b.since != 0 && now-b.since >= int64(stableAfter) {
		b.attempts = 0
	}
	b.since = 0
	ceiling := b.max
	if b.attempts < 32 {
		if d := b.min << b.attempts; d > 0 && d < b.max {
			ceiling = d
		}
		b.attempts++
	}
	return 1 + time.Duration(rnd.Int64N(int64(ceiling)))
}
