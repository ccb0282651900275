package client

import (
	"math/rand/v2"
	"time"
)

const (
	// stableAfter is how long something must have lived before its next failure
	// counts as the first again. Resetting on success alone would let a broker that
	// accepts and drops be asked at the shortest delay for ever.
	stableAfter = 10 * time.Second

	// paceShare bounds how much longer an outage becomes by our pauses: by a part in
	// so many.
	paceShare = 600

	// patienceShare is the same for a dial that nobody answers, as the SYN to a host
	// that is down.
	patienceShare = 20

	// settleTime is how long a broker that has just come back may refuse what it will
	// take soon: its vhosts and queues follow its port.
	settleTime = 30 * time.Second
)

// backoff spreads retries, so that clients that lost the same broker at one
// instant do not come back at one instant. It knows two kinds of pause:
//
// next is for what was refused, and will be refused again as a rule. It has full
// jitter: random between nothing and a ceiling that doubles from min to max.
//
// pace is for what is away, and may be back at any moment. It costs the other
// side next to nothing, so it goes on steadily.
type backoff struct {
	min, max time.Duration
	attempts uint8
	since    int64 // when it came up; 0 while down
}

// up notes that it works, from now on.
func (b *backoff) up(now int64) { b.since = max(now, 1) }

// down notes that it works no more.
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

// pace returns the delay before the next look at what has been away for so long:
// min, and after min times paceShare a fixed part of the outage, up to max. The
// half of it is random.
func (b *backoff) pace(rnd *rand.Rand, away time.Duration) time.Duration {
	d := min(max(away/paceShare, b.min), b.max)
	return d - time.Duration(rnd.Int64N(int64(d/2)+1))
}
