package sql_test

import (
	"context"
	"database/sql"
	"sync/atomic"

	"zamqp/publisher"
)

// database is open while a server runs: its hooks open and close it.
var database struct {
	*sql.DB
	driver, dsn string
	opened      atomic.Int32 // connections that have begun a transaction and not ended it
}

// patient makes a writer take SQLite's lock when it begins, and wait longer for it than a test
// takes.
const patient = "?_txlock=immediate&_pragma=busy_timeout(120000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"

func init() {
	publisher.OnStart(func(ctx context.Context) (err error) {
		if database.DB, err = sql.Open(database.driver, database.dsn); err != nil {
			return err
		}
		database.SetMaxOpenConns(8) // fewer than calls
		for _, statement := range []string{
			"CREATE TABLE orders (id TEXT PRIMARY KEY)",
			"CREATE TABLE counter (n INTEGER)",
			"INSERT INTO counter VALUES (0)",
		} {
			if _, err = database.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	publisher.OnStop(func(context.Context) error { return database.Close() })
}

// transaction is one of the database, as a participant of a call. Everything that it does
// blocks, so it runs in the pool.
type transaction struct {
	pool string
	tx   *sql.Tx
}

// begin takes the lock for writing, and joins the call.
func begin(r *publisher.Request, pool string) (*transaction, error) {
	t := &transaction{pool: pool}
	err := r.OffloadTo(pool, func() (err error) {
		t.tx, err = database.BeginTx(context.Background(), nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	database.opened.Add(1)
	return t, r.Join(t)
}

// insert writes a row.
func (t *transaction) insert(r *publisher.Request, id string) error {
	return r.OffloadTo(t.pool, func() error {
		_, err := t.tx.Exec("INSERT INTO orders (id) VALUES (?)", id)
		return err
	})
}

// Prepare has nothing to do: SQLite checks each statement.
func (t *transaction) Prepare(*publisher.Request) error { return nil }

// Commit makes the rows last.
func (t *transaction) Commit(r *publisher.Request) error { return t.end(r, t.tx.Commit) }

// Abort forgets them.
func (t *transaction) Abort(r *publisher.Request) { _ = t.end(r, t.tx.Rollback) }

func (t *transaction) end(r *publisher.Request, how func() error) error {
	database.opened.Add(-1)
	return r.OffloadTo(t.pool, how)
}
