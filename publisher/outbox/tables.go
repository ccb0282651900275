package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Version is the version of the tables. It is in zamqp_schema.
const Version = 1

// Tables returns the statements that make the tables, for people to read and to run. Running them
// again changes nothing.
func Tables(d Dialect) string {
	id, octets, number, small := "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", "BIGINT", "SMALLINT"
	if d == SQLite {
		id, octets, number, small = "INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "INTEGER", "INTEGER"
	}
	return strings.NewReplacer("ID", id, "OCTETS", octets, "NUMBER", number, "SMALL", small, "VERSION", fmt.Sprint(Version)).Replace(tables)
}

// tables are in the order in which they are made.
const tables = `-- The tables of zamqp, version VERSION. Times are milliseconds since 1970.

-- The version of these tables.
CREATE TABLE IF NOT EXISTS zamqp_schema (
  version SMALL NOT NULL PRIMARY KEY
);

-- The outbox: publishes that are not confirmed by their broker yet. Rows with a reason were
-- refused by it; they stay until somebody retries or drops them (zamqp sql list).
CREATE TABLE IF NOT EXISTS zamqp_outbox (
  id          ID,
  connection  TEXT NOT NULL,   -- [connection.NAME]
  producer    TEXT NOT NULL,   -- [producer.NAME]
  exchange    OCTETS NOT NULL,
  routing_key OCTETS NOT NULL,
  mandatory   SMALL NOT NULL,  -- 1: it is an error if no queue takes it
  properties  OCTETS NOT NULL, -- properties and headers, in the format of AMQP 0-9-1
  body        OCTETS NOT NULL,
  created_ms  NUMBER NOT NULL,
  reason      TEXT             -- why the broker refused it; NULL: it waits
);
CREATE INDEX IF NOT EXISTS zamqp_outbox_waiting ON zamqp_outbox (connection, id) WHERE reason IS NULL;
CREATE INDEX IF NOT EXISTS zamqp_outbox_aside ON zamqp_outbox (connection, id) WHERE reason IS NOT NULL;

-- Which process sends the rows of a connection, and until when it may.
CREATE TABLE IF NOT EXISTS zamqp_outbox_lease (
  connection TEXT NOT NULL PRIMARY KEY,
  holder     TEXT NOT NULL,   -- host and process
  token      NUMBER NOT NULL, -- grows each time that another process takes over
  until_ms   NUMBER NOT NULL
);

-- The inbox: the ids of messages that a consumer has handled.
CREATE TABLE IF NOT EXISTS zamqp_inbox (
  consumer   TEXT NOT NULL,   -- [consumer.NAME]
  id         TEXT NOT NULL,
  handled_ms NUMBER NOT NULL,
  PRIMARY KEY (consumer, id)
);
CREATE INDEX IF NOT EXISTS zamqp_inbox_handled ON zamqp_inbox (consumer, handled_ms);

INSERT INTO zamqp_schema (version) VALUES (VERSION) ON CONFLICT DO NOTHING;
`

// statements splits a script. No statement of ours has a semicolon inside, but comments may.
func statements(script string) (all []string) {
	var plain strings.Builder
	for line := range strings.Lines(script) {
		before, _, _ := strings.Cut(line, "--")
		plain.WriteString(strings.TrimRight(before, " \n") + "\n")
	}
	for _, s := range strings.Split(plain.String(), ";") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// makeLock is the key of PostgreSQL's lock that lets only one process make the tables: two that do
// it at once would get an error from the catalogue.
const makeLock = 0x7a616d7170 // "zamqp"

// Init makes the tables that are missing, in one transaction. made is false if all were there.
func Init(ctx context.Context, db *sql.DB, d Dialect) (made bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if d == PostgreSQL {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(makeLock)); err != nil {
			return false, err
		}
	}
	before, err := version(ctx, tx, d)
	if err != nil {
		return false, err
	}
	if before > Version {
		return false, newer(before)
	}
	for _, s := range statements(Tables(d)) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return false, fmt.Errorf("%w: in the statement %q", err, s)
		}
	}
	return before < Version, tx.Commit()
}

// version returns the version of the tables, or 0 if there are none.
func version(ctx context.Context, q Queryer, d Dialect) (int, error) {
	there := "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('zamqp_schema')"
	if d == SQLite {
		there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'zamqp_schema'"
	}
	var n int
	if err := q.QueryRowContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	var v sql.NullInt64
	err := q.QueryRowContext(ctx, "SELECT max(version) FROM zamqp_schema").Scan(&v)
	return int(v.Int64), err
}

// ErrTables is wrapped by errors that only people can mend: the tables are missing, have another
// version, or the database is of a kind that they are not made for.
var ErrTables = errors.New("the tables of zamqp cannot be used")

// Check returns an error that names the remedy if the tables are not there in this version.
func Check(ctx context.Context, q Queryer, d Dialect) error {
	v, err := version(ctx, q, d)
	switch {
	case err != nil:
		return err
	case v > Version:
		return newer(v)
	case v == 0:
		return fmt.Errorf("%w: they are missing: make them by \"zamqp sql init\" in a program with your driver, or run what \"zamqp sql init --print --dialect %s\" prints", ErrTables, d)
	case v < Version:
		return fmt.Errorf("%w: they have version %d, and this zamqp wants %d: run \"zamqp sql init\"", ErrTables, v, Version)
	}
	return nil
}

func newer(v int) error {
	return fmt.Errorf("%w: they have version %d, and this zamqp knows %d: use the newer zamqp that has made them", ErrTables, v, Version)
}
