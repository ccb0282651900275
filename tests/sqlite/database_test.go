package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync/atomic"

	_ "modernc.org/sqlite"

	"zamqp/publisher"
)

// database is open while a server runs: its hooks open and close it.
var database struct {
	*sql.DB
	file   string
	opened atomic.Int32 // connections that have begun a transaction and not ended it
}

// busy is how long a writer waits for the lock of another one: longer than a test.
const busy = "busy_timeout(120000)"

func init() {
	publisher.OnStart(func(ctx context.Context) (err error) {
		database.DB, err = sql.Open("sqlite", "file:"+filepath.ToSlash(database.file)+
			"?_txlock=immediate&_pragma="+busy+"&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
		if err != nil {
			return err
		}
		_, err = database.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY)")
		return err
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
