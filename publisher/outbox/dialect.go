package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// A Dialect is the SQL of one kind of database.
type Dialect uint8

// The dialects. 0 is none.
const (
	PostgreSQL Dialect = iota + 1
	SQLite
)

var dialectNames = [...]string{PostgreSQL: "postgres", SQLite: "sqlite"}

func (d Dialect) String() string {
	if d == 0 || int(d) >= len(dialectNames) {
		return "unknown"
	}
	return dialectNames[d]
}

// ParseDialect returns the dialect of that name.
func ParseDialect(name string) (Dialect, error) {
	for d, known := range dialectNames {
		if known != "" && known == name {
			return Dialect(d), nil
		}
	}
	return 0, fmt.Errorf("no such dialect: %q: write postgres or sqlite", name)
}

// A Queryer runs statements: a *sql.DB, *sql.Conn or *sql.Tx.
type Queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// DialectOf asks the database what it is. The name of the driver says less: drivers are wrapped, for
// example for tracing, and some databases speak PostgreSQL's protocol without being one.
func DialectOf(ctx context.Context, q Queryer) (Dialect, error) {
	var version string
	err := q.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	if err == nil {
		if strings.HasPrefix(version, "PostgreSQL ") {
			return PostgreSQL, nil
		}
		return 0, fmt.Errorf("%w: the database is %q, and they are made for PostgreSQL and SQLite", ErrTables, version)
	}
	if q.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version) == nil {
		return SQLite, nil
	}
	return 0, fmt.Errorf("the database does not say what it is: %w", err)
}

// text returns a statement in the dialect. It is written with PostgreSQL's placeholders, $1; NOW is
// the database's own time in milliseconds since 1970, so that the clocks of the processes do not
// matter; IDS($1) are the numbers of a list such as "1,2,3".
func (d Dialect) text(statement string) string {
	now, placeholder := "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", "$"
	idsFrom, idsTo := "(SELECT CAST(unnest(string_to_array(", ", ',')) AS BIGINT))"
	if d == SQLite {
		now, placeholder = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", "?"
		idsFrom, idsTo = "(SELECT value FROM json_each('[' || ", " || ']'))"
	}
	for {
		before, after, found := strings.Cut(statement, "IDS(")
		if !found {
			break
		}
		argument, rest, _ := strings.Cut(after, ")")
		statement = before + idsFrom + argument + idsTo + rest
	}
	statement = strings.ReplaceAll(statement, "NOW", now)
	return strings.ReplaceAll(statement, "$", placeholder)
}
