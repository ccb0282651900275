package outbox

import "time"

// An Outcome is what became of a row that was given to its connection.
type Outcome uint8

const (
	// Sent: the broker has confirmed it. The row is removed.
	Sent Outcome = iota + 1
	// Expired: its expiration was over before it could be sent. The row is removed.
	Expired
	// Refused: the broker will not take it, for example because no queue is bound. The row is kept
	// aside with the reason.
	Refused
	// Again: the broker did not take this row now. It is sent again later, and the rows of its key
	// wait for it.
	Again
	// Down: no row can be sent now, or it is not known whether this one was. The row is sent again.
	Down
	// Late: there is no answer in time. Another outcome follows; until then the rows of its key wait.
	Late
)

// A Sender gives rows to the broker, on the loop's thread. Its methods return at once; any goroutine
// may call them, and report and answer are called on any.
type Sender interface {
	// Send sends rows in their order, unless it is later than until. It reports an outcome for each,
	// and after Late another one. The rows must not change until their last outcome.
	Send(rows []*Row, until time.Time, report func(r *Row, o Outcome, why string))
	// Probe answers whether rows can be sent now: nil, or the reason why not.
	Probe(answer func(err error))
}
