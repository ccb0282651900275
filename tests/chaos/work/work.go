// Package work is the handler package of the server under test. Its handlers record
// what they do, in a file that outlives the process.
package work

import (
	"errors"
	"os"
	"time"

	"zamqp/publisher"
	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

func init() {
	publisher.Produce(plan.Post, publisher.Producer{Queue: plan.Post})
	publisher.Produce(plan.Next, publisher.Producer{Queue: plan.Next})
	publisher.Handle("POST /messages", post)
	publisher.Consume(plan.Lane, publisher.Consumer{Lane: "header:key", Prefetch: plan.Queues[plan.Lane].Prefetch}, seen(plan.Lane, lane))
	publisher.Consume(plan.Free, publisher.Consumer{Prefetch: plan.Queues[plan.Free].Prefetch, Retry: publisher.Retry{Min: 100 * time.Millisecond}}, seen(plan.Free, free))
	publisher.Consume(plan.Post, publisher.Consumer{Prefetch: plan.Queues[plan.Post].Prefetch}, seen(plan.Post, nothing))
	publisher.Consume(plan.Next, publisher.Consumer{Prefetch: plan.Queues[plan.Next].Prefetch}, seen(plan.Next, nothing))
}

// book is the ledger to which the handlers write.
var book *ledger.File

// Open opens the ledger that the environment names.
func Open() (err error) {
	book, err = ledger.Open(os.Getenv(plan.LedgerEnv))
	return err
}

func post(r *publisher.Request) error {
	if err := r.Publish(plan.Post, r.Body(), publisher.ContentType("text/plain")); err != nil {
		return err
	}
	return r.Text(202, "taken\n")
}

// seen records that h begins with a message, and how it ends.
func seen(queue string, h func(*publisher.Request, ledger.ID) error) publisher.Handler {
	return func(r *publisher.Request) error {
		if string(r.Body()) == plan.Probe {
			return nil
		}
		id, ok := plan.Parse(queue, r.Body())
		if !ok {
			return publisher.Permanent(errors.New("not a message of the plan"))
		}
		e := ledger.Entry{Kind: ledger.Started, ID: id, Time: time.Now(), Process: os.Getpid(), Attempt: r.Attempt(), Redelivered: r.Delivery().Redelivered}
		switch done, err := bug(r, e); {
		case done:
			return err
		case err != nil:
			return err
		}
		if err := book.Add(e); err != nil {
			return err
		}
		err := h(r, id)
		if r.Context().Err() != nil {
			return err // cut off: it will be delivered again
		}
		e.Kind, e.Time = ledger.Handled, time.Now()
		if err != nil {
			e.Kind, e.Note = ledger.Failed, err.Error()
		}
		return errors.Join(err, book.Add(e))
	}
}

func nothing(*publisher.Request, ledger.ID) error { return nil }

func lane(r *publisher.Request, _ ledger.ID) error {
	return r.Publish(plan.Next, r.Body(), publisher.ContentType("text/plain"))
}

func free(r *publisher.Request, id ledger.ID) error {
	if err := r.Sleep(plan.FreeTakes); err != nil {
		return err
	}
	switch {
	case plan.Refused(id):
		return publisher.Permanent(errors.New("refused by the plan"))
	case plan.Fails(id) && r.Attempt() == 1:
		return errors.New("failed by the plan")
	}
	return nil
}
