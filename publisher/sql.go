package publisher

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A SQL is the transaction of a database in a call. It commits when the call commits, and is
// rolled back when the call fails. The call waits while the database works, and the loop goes
// on. Its methods are those that query builders and generated code ask for, such as the DBTX
// of sqlc.
//
// Statements run one after the other, also those of functions given to [Request.Go].
//
// A serialization failure, a deadlock, or a lock that SQLite did not get is an [ErrConflict],
// and the call is run again. A lost connection is an [ErrUnavailable]. All errors still wrap the
// driver's.
type SQL struct {
	r *Request
	t *sqlTx
}

// A SQLOption changes how a transaction begins.
type SQLOption struct {
	apply func(tx *sql.TxOptions)
	pool  string
}

// SQLIsolation sets the isolation level of the transaction, as [sql.TxOptions] does.
func SQLIsolation(level sql.IsolationLevel) SQLOption {
	return SQLOption{apply: func(o *sql.TxOptions) { o.Isolation = level }}
}

// SQLReadOnly makes the transaction read-only, as [sql.TxOptions] does.
func SQLReadOnly() SQLOption {
	return SQLOption{apply: func(o *sql.TxOptions) { o.ReadOnly = true }}
}

// SQLPool names the [Pool] in which the transaction works, instead of [DefaultPool].
func SQLPool(name string) SQLOption { return SQLOption{pool: name} }

// SQL returns the call's transaction of a database. It begins with its first statement. In one
// call there is one transaction for each database: a second call of SQL with the same db
// returns the same transaction.
//
// With the transactions of several databases, all are prepared to commit before the first one
// commits, and they commit in the order in which they have joined. If a later one fails then,
// the earlier ones stay committed: keep together in one database what must change together.
//
// A statement that has failed may have failed the transaction: PostgreSQL then refuses all other
// statements, and the commit. Return the error, or use [SQL.Savepoint].
func (r *Request) SQL(db *sql.DB, options ...SQLOption) (*SQL, error) {
	if db == nil {
		return nil, errors.New("sql: the database is nil: open it in a function given to publisher.OnStart")
	}
	var t *sqlTx
	err := r.do(func(call *Request) (err error) {
		t, err = call.joinSQL(db, options)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sql: %w", err)
	}
	return &SQL{r, t}, nil
}

// joinSQL finds the transaction, or makes it.
func (r *Request) joinSQL(db *sql.DB, options []SQLOption) (*sqlTx, error) {
	var t *sqlTx
	for _, p := range r.tx.participants {
		if s, is := p.(*sqlTx); is && s.db == db {
			t = s
		}
	}
	if t == nil {
		t = &sqlTx{db: db, call: r, name: r.server.databaseName(db), first: r.first(db)}
		t.pool, _ = r.server.poolOf(DefaultPool)
		if err := r.Join(t); err != nil {
			return nil, err
		}
	}
	return t, t.set(options)
}

// set applies the options. Once the transaction has begun, they must ask for what it is.
func (t *sqlTx) set(options []SQLOption) error {
	for _, o := range options {
		if o.pool != "" {
			p, err := t.call.server.poolOf(o.pool)
			if err != nil {
				return err
			}
			t.pool = p
			continue
		}
		asked := sql.TxOptions{}
		if t.options != nil {
			asked = *t.options
		}
		before := asked
		o.apply(&asked)
		if asked != before && (t.busy || t.tx != nil) {
			return fmt.Errorf("%s: the transaction has begun, with isolation %s and read-only %v: give the options to the first r.SQL of the call",
				t.name, before.Isolation, before.ReadOnly)
		}
		t.options = &asked
	}
	return nil
}

// ExecContext executes a statement without rows. It ends early when ctx or the call does.
func (s *SQL) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = s.statement(ctx, func(ctx context.Context) (err error) {
		result, err = s.t.tx.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// QueryContext executes a query. All its rows are read before it returns, while the call waits,
// so that Next never waits. More than [SQLResultMax] are an error: read such results in
// [SQL.Do].
func (s *SQL) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	result := s.query(ctx, query, args)
	return replayDB().QueryContext(context.Background(), "", result)
}

// QueryRowContext executes a query that gives at most one row. Its Scan returns the error.
func (s *SQL) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return replayDB().QueryRowContext(context.Background(), "", s.query(ctx, query, args))
}

func (s *SQL) query(ctx context.Context, query string, args []any) *sqlResult {
	result := &sqlResult{}
	result.err = s.statement(ctx, func(ctx context.Context) error {
		rows, err := s.t.tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		return result.read(rows)
	})
	return result
}

// PrepareContext prepares a statement in a handler mounted by [HTTP], whose goroutine may wait
// for it. The statement ends with the transaction. In other handlers it returns an error, because
// the methods of a [sql.Stmt] would hold up the loop: prepare it in [SQL.Do].
func (s *SQL) PrepareContext(ctx context.Context, query string) (stmt *sql.Stmt, err error) {
	if s.r.toCall == nil {
		return nil, fmt.Errorf("%s: a prepared statement would hold up the loop: prepare and use it in the Do of r.SQL", s.t.name)
	}
	err = s.statement(ctx, func(context.Context) (err error) {
		stmt, err = s.t.tx.PrepareContext(s.t.ctx, query)
		return err
	})
	return stmt, err
}

// Do runs fn with the transaction itself, on another goroutine, while the call waits: for
// several statements at once, for large results, for libraries that ask for a [sql.Tx]. As in
// [Request.Offload], fn must not use the request, except its Context, which it should give to
// its statements. fn must not commit or roll back, and must close its rows.
func (s *SQL) Do(fn func(tx *sql.Tx) error) error {
	t := s.t
	return t.work(s.r, func() error {
		err := fn(t.tx)
		if err != nil && (isSQLConflict(err) || isSQLLost(err)) {
			return t.failure(err)
		}
		if err != nil && t.failed == nil {
			t.failed = err
		}
		return err
	})
}

// statement runs one statement, with a context that ends when ctx, the call or the transaction
// does.
func (s *SQL) statement(ctx context.Context, fn func(ctx context.Context) error) error {
	t, call := s.t, s.r.Context()
	return t.work(s.r, func() error {
		with, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		if ctx != call {
			defer context.AfterFunc(call, func() { cancel(context.Cause(call)) })()
		}
		defer context.AfterFunc(t.ctx, func() { cancel(errSQLOver) })()
		ctx := with
		err := fn(ctx)
		if err != nil && ctx.Err() != nil {
			return t.failure(fmt.Errorf("%w: %w", context.Cause(ctx), err))
		}
		return t.failure(err)
	})
}
