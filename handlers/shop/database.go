package shop

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// database is open from the start of the server to its end.
var database *sql.DB

// schema has the tables of the shop. Those of the outbox and the inbox are made by
// `shopd sql init`.
const schema = `
CREATE TABLE IF NOT EXISTS orders (
	id       TEXT PRIMARY KEY,
	customer TEXT NOT NULL,
	request  TEXT,             -- the client's Idempotency-Key
	item     TEXT NOT NULL,
	quantity INTEGER NOT NULL,
	state    TEXT NOT NULL,    -- new, paid or declined
	charge   TEXT NOT NULL,    -- the bank's number of the payment
	UNIQUE (customer, request)
);
CREATE INDEX IF NOT EXISTS orders_state ON orders (state);`

// openDatabase opens the file and makes the tables that are missing.
func openDatabase(ctx context.Context) (err error) {
	// WAL lets others read while one writes. A writer takes its lock at the beginning of its
	// transaction, and waits up to five seconds for it.
	database, err = sql.Open("sqlite", "file:"+filepath.ToSlash(settings.Database)+
		"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		return err
	}
	if _, err = database.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("%s: %w: check [app.shop] database in the configuration", settings.Database, err)
	}
	return nil
}

func closeDatabase(context.Context) error { return database.Close() }

// opened gives the server the database for the outbox and the inbox.
func opened() (*sql.DB, error) { return database, nil }
