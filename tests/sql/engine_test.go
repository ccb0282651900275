package sql_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"zamqp/tests/kit/postgres"
)

// An engine is a database with an empty table orders (id, n).
type engine struct {
	*sql.DB
	driver, dsn string
}

const sqliteDSN = "?_pragma=busy_timeout(100)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"

// eachEngine runs a test on SQLite and on PostgreSQL. At its end no connection may be in use.
func eachEngine(t *testing.T, test func(t *testing.T, e *engine)) {
	t.Run("sqlite", func(t *testing.T) { test(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, onPostgres(t)) })
}

func onSQLite(t *testing.T) *engine {
	t.Helper()
	return open(t, "sqlite", "file:"+filepath.ToSlash(filepath.Join(t.TempDir(), "test.db"))+sqliteDSN)
}

var schemas atomic.Int32

// onPostgres opens a schema of the test's own.
func onPostgres(t *testing.T) *engine {
	t.Helper()
	return open(t, "pgx", newSchema(t))
}

// newSchema returns the DSN of an empty schema.
func newSchema(t testing.TB) string {
	t.Helper()
	dsn := postgres.Start(t)
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	schema := fmt.Sprint("test", schemas.Add(1))
	if _, err := admin.Exec("DROP SCHEMA IF EXISTS " + schema + " CASCADE; CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	return withSchema(dsn, schema)
}

func withSchema(dsn, schema string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t *testing.T, driver, dsn string) *engine {
	t.Helper()
	e := &engine{driver: driver, dsn: dsn}
	e.DB = e.another(t)
	e.must(t, "CREATE TABLE orders (id TEXT PRIMARY KEY, n INTEGER)")
	t.Cleanup(func() {
		if n := e.Stats().InUse; n != 0 {
			t.Errorf("%d connections are in use at the end", n)
		}
	})
	return e
}

// another opens the same database once more.
func (e *engine) another(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open(e.driver, e.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// q writes the parameters of a statement as the driver wants them.
func (e *engine) q(query string) string {
	if e.driver != "pgx" {
		return query
	}
	for n := 1; strings.Contains(query, "?"); n++ {
		query = strings.Replace(query, "?", fmt.Sprint("$", n), 1)
	}
	return query
}

func (e *engine) must(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := e.Exec(e.q(query), args...); err != nil {
		t.Fatal(err)
	}
}

// ids returns the ids of all orders.
func (e *engine) ids(t *testing.T) string {
	t.Helper()
	rows, err := e.Query("SELECT id FROM orders ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(ids, " ")
}
