package publisher

import "fmt"

// A Participant takes part in a call's transaction, for example for a database, a file or a
// cache. It joins by [Request.Join]. Its methods are called on the loop's thread, in the
// call's own task, so they may wait by [Request.Offload], which has separate workers for
// Commit and Abort.
//
// Prepare does everything that can fail. Commit makes it durable, and may fail only
// for reasons that Prepare cannot know. Abort undoes the work. It is called for each
// participant of a failed call whose Commit was not called.
type Participant interface {
	Prepare(r *Request) error
	Commit(r *Request) error
	Abort(r *Request)
}

// Join adds p to the call's transaction. Joining twice has no effect.
//
// Participants commit before the publishes are sent. If a publish fails after that, the
// participants' work stays: the call fails, an HTTP client gets 503 or a message is delivered
// again, and the row exists without its message. A publish that cannot work is refused before
// any participant commits: the connection is down or blocked and has no spool, or publish_max
// is reached. But a broker may go away in between. So do one of three things: let a repeated
// call find its row and publish again; give the connection a spool, which takes publishes
// without a broker; or use [Request.SQL] and give the connection an outbox, so that the messages are
// rows of the same transaction.
func (r *Request) Join(p Participant) error {
	if r.toCall != nil {
		return r.toCall.do(func(r *Request) error { return r.Join(p) })
	}
	if err := r.open(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	for _, old := range r.tx.participants {
		if old == p {
			return nil
		}
	}
	r.tx.participants = append(r.tx.participants, p)
	return nil
}
