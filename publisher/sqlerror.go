package publisher

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// ErrCommitUnknown says that the connection to a database was lost while it committed: the
// database may have committed or not. An HTTP client gets 503. A message is handled again,
// which is safe if its consumer has an inbox in that database, or if the work can be done
// twice.
var ErrCommitUnknown = errors.New("whether the database has committed is not known")

// Errors of drivers are read by what they have, not by their types: the server imports no
// driver.
type (
	// sqlStater has the code of the SQL standard: the errors of pgx, pq and others.
	sqlStater interface{ SQLState() string }
	// sqliteError has a result code of SQLite, extended or not.
	sqliteError interface{ Code() int }
	// retrySafe knows whether a statement was sent: the errors of pgx.
	retrySafe interface{ SafeToRetry() bool }
)

// Primary result codes of SQLite.
const (
	sqliteBusy   = 5
	sqliteLocked = 6
	sqliteIOErr  = 10
)

// isSQLConflict reports whether a transaction has lost a race against another one, so that it
// may succeed when it runs again.
func isSQLConflict(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "":
		code, is := sqliteCode(err)
		return is && (code == sqliteBusy || code == sqliteLocked)
	}
	return false
}

// sqlState is "" for an error without such a code.
func sqlState(err error) string {
	if e := sqlStater(nil); errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// sqliteCode returns the primary result code. The types of other libraries may have a Code
// method, too, so the name of the type counts. A driver whose errors have no such method is
// understood by SQLite's own texts.
func sqliteCode(err error) (code int, is bool) {
	if strings.Contains(fmt.Sprintf("%T", err), "sqlite") {
		return sqliteCodeOf(err), true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return sqliteCode(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if code, is = sqliteCode(one); is {
				return code, true
			}
		}
	}
	return 0, false
}

func sqliteCodeOf(err error) int {
	if e, ok := err.(sqliteError); ok {
		return e.Code() & 0xff
	}
	switch text := err.Error(); {
	case strings.HasPrefix(text, "database is locked"):
		return sqliteBusy
	case strings.HasPrefix(text, "database table is locked"):
		return sqliteLocked
	case strings.HasPrefix(text, "disk I/O error"):
		return sqliteIOErr
	}
	return 0
}

// isSQLLost reports whether the connection to the database is lost, or cannot be made.
func isSQLLost(err error) bool {
	if state := sqlState(err); state != "" {
		switch {
		case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P0"), state == "53300": // connection; shutdown; too many
			return true
		}
		return false
	}
	var n net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &n) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// isCommitKnown reports whether the error of a commit shows that nothing was committed. What is
// not known to have failed may have been done.
func isCommitKnown(err error) bool {
	if state := sqlState(err); state != "" {
		return !isSQLLost(err) && state != "40003" // statement completion unknown
	}
	if code, is := sqliteCode(err); is {
		return code != sqliteIOErr
	}
	if s := retrySafe(nil); errors.As(err, &s) && s.SafeToRetry() {
		return true
	}
	if errors.Is(err, sql.ErrTxDone) {
		return true
	}
	// PostgreSQL answers COMMIT with ROLLBACK if a statement has failed. pgx and pq say so.
	text := err.Error()
	return strings.Contains(text, "resulted in rollback") || strings.Contains(text, "failed transaction")
}

// databaseName is the name of a database in errors: that of [Database], or what the driver's type
// says.
func (s *Server) databaseName(db *sql.DB) string {
	if d := s.databaseOf(db); d != nil {
		return "database " + d.name
	}
	return fmt.Sprintf("database (%T)", db.Driver())
}
