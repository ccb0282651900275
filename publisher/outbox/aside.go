package outbox

import (
	"context"
	"time"
)

// A Filter says which rows are meant. What is empty does not matter.
type Filter struct {
	Connection string
	Aside      bool // only those that the broker has refused
	After      int64
	Limit      int // 0 is 1000
}

// List returns rows by their ids, the lowest first. Bodies are in memory, so ask for few.
func List(ctx context.Context, q Queryer, d Dialect, f Filter) ([]*Row, error) {
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	found, err := q.QueryContext(ctx, d.text(`SELECT id, connection, producer, exchange, routing_key, mandatory, properties, body, created_ms, COALESCE(reason, '')
		FROM zamqp_outbox WHERE id > $1 AND ($2 = '' OR connection = $2) AND (reason IS NOT NULL OR $3 = 0) ORDER BY id LIMIT $4`),
		f.After, f.Connection, bit(f.Aside), f.Limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }() // Err has its error
	var rows []*Row
	for found.Next() {
		r := &Row{}
		var mandatory int
		var ms int64
		if err := found.Scan(&r.ID, &r.Connection, &r.Producer, &r.Exchange, &r.RoutingKey, &mandatory, &r.Properties, &r.Body, &ms, &r.Reason); err != nil {
			return nil, err
		}
		r.Mandatory, r.Created = mandatory != 0, time.UnixMilli(ms)
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// Retry lets a row that the broker has refused be sent again. done is false if it is not aside.
func Retry(ctx context.Context, q Queryer, d Dialect, id int64) (done bool, err error) {
	return change(ctx, q, d.text("UPDATE zamqp_outbox SET reason = NULL WHERE id = $1 AND reason IS NOT NULL"), id)
}

// Drop deletes a row. Its message then reaches nobody. done is false if there is no such row.
func Drop(ctx context.Context, q Queryer, d Dialect, id int64) (done bool, err error) {
	return change(ctx, q, d.text("DELETE FROM zamqp_outbox WHERE id = $1"), id)
}

func change(ctx context.Context, q Queryer, statement string, id int64) (bool, error) {
	done, err := q.ExecContext(ctx, statement, id)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
