package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// The statements of the inbox. Both dialects take numbered parameters of this form.
const (
	inboxHas = `SELECT 1 FROM zamqp_inbox WHERE consumer = $1 AND id = $2`
	inboxAdd = `INSERT INTO zamqp_inbox (consumer, id, handled_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	// Another process may be deleting the same rows: PostgreSQL's first one wins.
	inboxForget = `DELETE FROM zamqp_inbox WHERE consumer = $1 AND id IN (
  SELECT id FROM zamqp_inbox WHERE consumer = $1 AND handled_ms < $2 ORDER BY handled_ms LIMIT $3`
)

// Has reports whether a consumer has handled a message with this id.
func Has(ctx context.Context, q Queryer, consumer, id string) (bool, error) {
	var one int
	switch err := q.QueryRowContext(ctx, inboxHas, consumer, id).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("inbox: %w", err)
	}
	return true, nil
}

// Add notes an id in a transaction. It returns false if the id is there already. If another
// transaction has added it and has not ended, Add waits for that one.
func Add(ctx context.Context, q Queryer, consumer, id string, now time.Time) (added bool, err error) {
	result, err := q.ExecContext(ctx, inboxAdd, consumer, id, now.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("inbox: %w", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Forget deletes up to most ids of a consumer that are older than a time, the oldest first, and
// returns how many.
func Forget(ctx context.Context, q Queryer, d Dialect, consumer string, before time.Time, most int) (int, error) {
	statement := inboxForget + ")"
	if d == PostgreSQL {
		statement = inboxForget + " FOR UPDATE SKIP LOCKED)"
	}
	result, err := q.ExecContext(ctx, statement, consumer, before.UnixMilli(), most)
	if err != nil {
		return 0, fmt.Errorf("inbox: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
