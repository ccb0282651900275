package client

import (
	"math/rand/v2"
	"time"
)

const (
	// stableAfter is how long something must work before its next failure counts as the
	// first again. If every success did this, a broker that accepts connections and
	// drops them would always be retried after the shortest delay.
	stableAfter = 10 * time.Second

	// paceShare bounds how much our pauses prolong an outage: by at most 1/paceShare.
	paceShare = 600

	// patienceShare is the same for a dial that nobody answers, such as one to a host
	// that is down.
	patienceShare = 20

	// settleTime is how long a broker that has just come back may still refuse things:
	// it opens its port before its vhosts and queues are ready.
	settleTime = 30 * time.Second
)

// backoff spreads retries, so that clients that lost the same broker at the same time
// do not all come back at the same time. It has two kinds of pause:
//
// next is for what was refused, and will probably be refused again. It has full
// jitter: random between nothing and a ceiling that doubles from min to max.
//
// pace is for what is unavailable and may come back at any moment. Such a try costs
// the other side almost nothing, so the pause stays short.
type backoff struct {
	min, max time.Duration
	attempts uint8
	since    int64 // when it began to work; 0 while it does not
}

// up records that it works from now on.
func (b *backoff) up(now int64) { b.since = max(now, 1) }

// down records that it no longer works.
func (b *backoff) down(now int64) {
	if b.since != 0 && now-b.since >= int64(stableAfter) {
		b.attempts = 0
	}
	b.since = 0
}

// next returns the delay before the next try.
func (b *backoff) next(rnd *rand.Rand, now int64) time.Duration {
	b.down(now)
	ceiling := b.max
	if b.attempts < 32 {
		if d := b.min << b.attempts; d > 0 && d < b.max {
			ceiling = d
		}
		b.attempts++
	}
	return 1 + time.Duration(rnd.Int64N(int64(ceiling)))
}

// pace returns the delay before the next try after an outage of length away: min at
// first, then 1/paceShare of the outage, up to max. Half of the delay is random.
func (b *backoff) pace(rnd *rand.Rand, away time.Duration) time.Duration {
	d := min(max(away/paceShare, b.min), b.max)
	return d - time.Duration(rnd.Int64N(int64(d/2)+1))
}
