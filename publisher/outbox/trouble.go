package outbox

import (
	"time"

	"github.com/rs/zerolog"
)

// A trouble is something that passes and is tried again, after waits that grow. Its beginning and
// its end are logged, if it lasts.
type trouble struct {
	what   string
	most   time.Duration // the longest wait
	active bool          // nothing is tried before the wait is over
	since  time.Time     // zero: there is none
	logged bool
	wait   time.Duration
}

// troubleQuiet is how long a trouble lasts before the log has it: a lock that is taken, or a broker
// that restarts quickly, is none.
const troubleQuiet = time.Second

func (t *trouble) any() bool { return t.active }

// again notes a failure, and returns how long to wait.
func (t *trouble) again(log zerolog.Logger, err error) time.Duration {
	now := time.Now()
	if t.since.IsZero() {
		t.since = now
	}
	if !t.logged && now.Sub(t.since) >= troubleQuiet {
		t.logged = true
		log.Warn().Err(err).Msg(t.what + " now: its messages stay in the table, and it is tried again")
	}
	t.active = true
	t.wait = min(max(2*t.wait, backoffMin), t.most)
	return t.wait
}

// try says that the wait is over.
func (t *trouble) try() { t.active = false }

// tried reports whether it is being tried again, so that a success ends it.
func (t *trouble) tried() bool { return !t.active && !t.since.IsZero() }

// over notes that it works again.
func (t *trouble) over(log zerolog.Logger, what string) {
	if t.logged {
		log.Info().Dur("after", time.Since(t.since)).Msg(what)
	}
	t.active, t.since, t.logged, t.wait = false, time.Time{}, false, 0
}

// A refusal limits what is logged of rows that the broker did not take.
type refusal struct {
	last time.Time
	more int // rows since then
}

// refusalEvery is how often the log tells of rows that are sent again.
const refusalEvery = 30 * time.Second

// again logs a row that is sent again later.
func (f *refusal) again(log zerolog.Logger, x report) {
	f.more++
	if !f.last.IsZero() && time.Since(f.last) < refusalEvery {
		return
	}
	log.Warn().Str("reason", x.why).Int64("id", x.row.ID).Bytes("exchange", x.row.Exchange).Bytes("routing_key", x.row.RoutingKey).Int("messages", f.more).
		Msg("the broker does not take messages of the outbox now: they are sent again, and others with the same routing key wait for them")
	f.last, f.more = time.Now(), 0
}

// aside logs rows that the broker has refused.
func (f *refusal) aside(log zerolog.Logger, list []report) {
	if len(list) == 0 {
		return
	}
	x := list[0]
	log.Error().Str("reason", x.why).Int64("id", x.row.ID).Bytes("exchange", x.row.Exchange).Bytes("routing_key", x.row.RoutingKey).Int("messages", len(list)).
		Msg("the broker refuses messages of the outbox: they are kept aside in the table; zamqp sql list shows them, retry sends them again, drop deletes them")
}
