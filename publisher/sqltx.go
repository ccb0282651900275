package publisher

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A sqlTx is the transaction of one database, as a participant of a call. It begins with its
// first piece of work. All its work is done in a pool, one piece at a time, because drivers
// allow no more on one connection. Only the loop's thread uses the fields, except those that
// the running piece uses.
type sqlTx struct {
	db      *sql.DB
	name    string // of the database, for errors
	pool    *pool
	options *sql.TxOptions // nil for the database's own
	call    *Request
	first   func(ctx context.Context, tx *sql.Tx) error // done when it has begun; nil for nothing

	ctx    context.Context // of the transaction: it ends only when the transaction is given up
	cancel context.CancelFunc
	tx     *sql.Tx // nil before the first piece of work, which writes it

	busy bool       // a piece of work runs, or waits for a worker
	line []*sqlWork // pieces that wait for it
	over bool       // committed or aborted, or about to be

	failed   error   // the first error of a statement
	conflict error   // the first error that says that the transaction has lost a race, or errHandled
	broken   error   // the connection is lost, or a savepoint cannot be kept: there can be no commit
	depth    int     // open savepoints
	saver    uintptr // the goroutine that has opened them
}

// sqlWork is one piece of work.
type sqlWork struct {
	pause *pause
	fn    func() error
}

// sqlRollbackMax bounds a rollback, and sqlCommitMax a commit. After that the connection is given
// up: the database rolls back when it notices that.
const (
	sqlRollbackMax = 10 * time.Second
	sqlCommitMax   = 5 * time.Minute
)

var errSQLOver = fmt.Errorf("%w: the transaction of the database has ended: it ends when its call commits", ErrOver)

// work does one piece of work in the pool, while the caller waits. The transaction begins with it
// if it has not begun.
func (t *sqlTx) work(r *Request, fn func() error) error {
	if b := r.toCall; b != nil {
		return b.awaitAs(&pause{}, func(_ *Request, p *pause) error { return t.ask(p, fn) })
	}
	if err := r.own(); err != nil {
		return err
	}
	p := &pause{r: r, strand: r.running}
	if err := t.ask(p, fn); err != nil {
		return err
	}
	for !p.over {
		if !p.firm && r.interrupted() {
			r.told = r.cancelled == ErrDraining
			p.cut(r.cause())
			break
		}
		r.park()
	}
	return p.err
}

// ask starts a piece of work, or puts it in line. Loop thread.
func (t *sqlTx) ask(p *pause, fn func() error) error {
	w := &sqlWork{p, fn}
	switch {
	case t.over:
		return errSQLOver
	case t.busy:
	case t.broken != nil:
		return t.broken
	default:
		return t.start(w)
	}
	t.line = append(t.line, w)
	p.stop = func() { t.line = slices.DeleteFunc(t.line, func(other *sqlWork) bool { return other == w }) }
	return nil
}

func (t *sqlTx) start(w *sqlWork) error {
	r := t.call
	call := r.Context()
	if t.tx == nil {
		t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(call))
	}
	rank := r.rank()
	t.busy = true
	o := &offloaded{r: r, rank: rank, locks: true, pause: w.pause, then: t.next, fn: func() error {
		if err := t.begin(call); err != nil {
			return err
		}
		return w.fn()
	}}
	w.pause.stop = func() { t.pool.leave(o) }
	err := t.pool.start(o)
	if err != nil {
		t.next()
	}
	return err
}

// next starts the piece of work that is first in line.
func (t *sqlTx) next() {
	t.busy = false
	for len(t.line) > 0 && !t.busy {
		w := t.line[0]
		t.line = slices.Delete(t.line, 0, 1)
		err := t.broken
		if err == nil && t.over {
			err = errSQLOver
		}
		if err == nil {
			err = t.start(w)
		}
		if err != nil {
			w.pause.end(err)
		}
	}
	if t.over {
		t.call.wake() // see Abort
	}
}

// begin begins the transaction, on the pool's goroutine. The call's context ends the wait for a
// connection. It does not end the transaction, which may be about to commit: what the handler
// does with the error decides.
func (t *sqlTx) begin(call context.Context) error {
	if t.tx != nil {
		return nil
	}
	stop := context.AfterFunc(call, t.cancel)
	tx, err := t.db.BeginTx(t.ctx, t.options)
	if !stop() && err == nil {
		_ = tx.Rollback()
		err = context.Cause(call)
	}
	if err == nil {
		t.tx = tx
		return t.doFirst(call)
	}
	t.cancel()
	if call.Err() != nil {
		return context.Cause(call)
	}
	if err = t.failure(err); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("begin: %w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("begin: %w", err)
}

// doFirst does what the transaction begins with.
func (t *sqlTx) doFirst(call context.Context) error {
	if t.first == nil {
		return nil
	}
	ctx, cancel := context.WithCancelCause(call)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errSQLOver) })()
	err := t.first(ctx, t.tx)
	if err == errHandled {
		t.conflict, t.broken = err, err
		return err
	}
	if err = t.failure(err); err != nil && t.broken == nil { // without it nothing else may be done
		t.broken = err
	}
	return err
}

// failure gives the error of a statement its meaning, and notes it. It is called by the piece of
// work that runs.
func (t *sqlTx) failure(err error) error {
	if err == nil {
		return nil
	}
	err = t.meaning(err)
	if t.failed == nil {
		t.failed = err
	}
	switch {
	case t.conflict == nil && errors.Is(err, ErrConflict):
		t.conflict = err
	case t.tx != nil && errors.Is(err, ErrUnavailable):
		t.broken = err
	}
	return err
}

// meaning makes a lost race an ErrConflict, and a lost connection an ErrUnavailable.
func (t *sqlTx) meaning(err error) error {
	switch {
	case isSQLConflict(err) && !errors.Is(err, ErrConflict):
		return fmt.Errorf("%s: %w: %w", t.name, ErrConflict, err)
	case isSQLLost(err):
		return fmt.Errorf("%s: %w: the connection is lost: %w", t.name, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", t.name, err)
}

// database is the database whose transaction this is.
func (t *sqlTx) database() *sql.DB { return t.db }

// readOnly reports whether the handler wants to write nothing in it.
func (t *sqlTx) readOnly() bool { return t.options != nil && t.options.ReadOnly }

// write does work of the server's own in the transaction, between Prepare and Commit.
func (t *sqlTx) write(r *Request, fn func(ctx context.Context, tx *sql.Tx) error) error {
	t.over = false
	defer func() { t.over = true }()
	ctx := context.WithoutCancel(r.Context())
	return t.work(r, func() error { return t.failure(fn(ctx, t.tx)) })
}

// Prepare refuses a commit that cannot be what the handler wants. A function that was given to Go
// goes on while a [Socket] commits, so its statement is awaited.
func (t *sqlTx) Prepare(r *Request) error {
	for t.over = true; t.busy && r.socket != nil; {
		r.park()
	}
	switch {
	case t.busy:
		return fmt.Errorf("%s: the handler has returned while another goroutine used the transaction: wait for it", t.name)
	case t.broken != nil:
		return t.broken
	}
	return nil
}

// Commit commits. Its context does not end with the call's: what has begun to commit goes on.
func (t *sqlTx) Commit(r *Request) error {
	if t.tx == nil {
		return nil
	}
	defer t.cancel()
	err := r.offload(t.pool, func() error {
		defer time.AfterFunc(sqlCommitMax, t.cancel).Stop()
		return t.tx.Commit()
	})
	switch {
	case err == nil:
		return nil
	case t.conflict != nil && isCommitKnown(err):
		return t.conflict
	case !isCommitKnown(err):
		return fmt.Errorf("%s: %w: %w", t.name, ErrCommitUnknown, err)
	case t.failed != nil:
		return fmt.Errorf("%w (a statement has failed before: return its error, or use a Savepoint: %v)", t.meaning(err), t.failed)
	}
	return t.meaning(err)
}

// Abort rolls back. A rollback that fails needs no attention: the transaction ends with its
// connection.
func (t *sqlTx) Abort(r *Request) {
	t.over = true
	if t.busy {
		t.cancel()
	}
	for t.busy { // a goroutine of a mounted handler has not waited for it
		r.park()
	}
	if t.tx == nil {
		return
	}
	_ = r.offload(t.pool, func() error {
		defer time.AfterFunc(sqlRollbackMax, t.cancel).Stop()
		return t.tx.Rollback()
	})
	t.cancel()
}

// conflicted returns the lost race of one of the transactions, for a handler that has answered
// with another error. The race is the reason for what the handler saw.
func (t *Tx) conflicted() error {
	for _, p := range t.participants {
		if s, is := p.(*sqlTx); is && !s.busy && s.conflict != nil {
			return s.conflict
		}
	}
	return nil
}

// lost returns the error of a call that has failed with err: a lost race, if there was one, or
// errHandled.
func (t *Tx) lost(err error) error {
	race := t.conflicted()
	if race == errHandled {
		return race
	}
	// Once a participant may have committed, another run would do its work twice.
	if race != nil && t.prepared == 0 && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: %w", race, err)
	}
	return err
}

// holds reports whether the transaction may have a lock.
func (t *Tx) holds() bool {
	for _, p := range t.participants {
		if s, is := p.(*sqlTx); !is || s.busy || s.tx != nil {
			return true
		}
	}
	return false
}
