package publisher

import "fmt"

// A Participant takes part in a call's transaction: a database's, a file's, a
// cache's. It joins by [Request.Join] and is called on the loop's thread, in
// the call's own task, so it may wait by [Request.Offload]: in Commit and Abort
// that has workers of its own.
//
// Prepare does all that can fail. Commit makes it last; only what cannot be
// foreseen may fail there. Abort undoes; it is called for every participant of
// a call that fails before its Commit.
type Participant interface {
	Prepare(r *Request) error
	Commit(r *Request) error
	Abort(r *Request)
}

// Join adds p to the call's transaction; joining twice is joining once.
func (r *Request) Join(p Participant) error {
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
