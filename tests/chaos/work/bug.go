package work

import (
	"errors"
	"os"
	"time"

	"zamqp/publisher"
	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

var seeded = os.Getenv(plan.BugEnv)

// held is the message that waits for the next one of its lane.
var held *ledger.Entry

// bug does to one message what the environment asks for. done means that its
// handler must not be called.
func bug(r *publisher.Request, e ledger.Entry) (done bool, err error) {
	switch {
	case seeded == plan.BugLose && e.Queue == plan.Post && e.Seq == 5:
		return true, nil
	case seeded == plan.BugRepeat && e.Queue == plan.Post && e.Seq == 5:
		return false, book.Add(e)
	case seeded == plan.BugBury && e.Queue == plan.Post && e.Seq == 5:
		return true, publisher.Permanent(errors.New("buried"))
	case seeded == plan.BugReorder && e.Queue == plan.Lane && e.Key == "0" && e.Seq == 5:
		held = &e
		return true, lane(r, e.ID)
	case held != nil && e.Queue == plan.Lane && e.Key == held.Key:
		late := *held
		held = nil
		err := book.Add(e)
		late.Time = time.Now()
		err = errors.Join(err, book.Add(late))
		late.Kind, e.Kind = ledger.Handled, ledger.Handled
		return true, errors.Join(err, book.Add(late), book.Add(e), lane(r, e.ID))
	}
	return false, nil
}

// Slow returns how long a new process has to wait before it serves.
func Slow() time.Duration {
	if seeded == plan.BugSlow {
		return 2 * ledger.NormalMax
	}
	return 0
}
