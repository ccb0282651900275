package outbox

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A table has the statements of one connection's rows, and of its lease.
type table struct {
	db         *sql.DB
	dialect    Dialect
	connection string
	acquireSQL, renewSQL, releaseSQL,
	anySQL, fetchSQL, removeSQL, asideSQL, countSQL string
}

// lease is how long a process may send rows without renewing. After a kill -9 the rows wait that
// long at most.
const lease = 5 * time.Second

// statementLimit bounds each statement, so that a network that swallows packets is noticed.
const statementLimit = 20 * time.Second

func newTable(db *sql.DB, d Dialect, connection string) *table {
	t := &table{db: db, dialect: d, connection: connection}
	// A lease that ends too far in the future was made before the clock was set back.
	t.acquireSQL = d.text(`INSERT INTO zamqp_outbox_lease (connection, holder, token, until_ms)
		VALUES ($1, $2, 1, NOW + CAST($3 AS BIGINT))
		ON CONFLICT (connection) DO UPDATE
		SET holder = excluded.holder, token = zamqp_outbox_lease.token + 1, until_ms = excluded.until_ms
		WHERE zamqp_outbox_lease.until_ms < NOW OR zamqp_outbox_lease.until_ms > NOW + 2 * CAST($3 AS BIGINT)
		RETURNING token`)
	t.renewSQL = d.text(`UPDATE zamqp_outbox_lease SET until_ms = NOW + CAST($3 AS BIGINT) WHERE connection = $1 AND token = $2`)
	t.releaseSQL = d.text(`UPDATE zamqp_outbox_lease SET until_ms = 0 WHERE connection = $1 AND token = $2`)
	t.anySQL = d.text(`SELECT created_ms FROM zamqp_outbox WHERE connection = $1 AND reason IS NULL ORDER BY id LIMIT 1`)
	t.countSQL = d.text(`SELECT (SELECT count(*) FROM zamqp_outbox WHERE connection = $1 AND reason IS NULL),
		(SELECT count(*) FROM zamqp_outbox WHERE connection = $1 AND reason IS NOT NULL)`)
	const columns = "id, producer, exchange, routing_key, mandatory, properties, body, created_ms"
	from := " FROM zamqp_outbox WHERE connection = $1 AND reason IS NULL AND id > $2 AND id NOT IN IDS($3) ORDER BY id LIMIT " + strconv.Itoa(fetchRows)
	if d == PostgreSQL { // it sends all rows of an answer, whether they are read or not
		t.fetchSQL = d.text("SELECT " + columns + " FROM (SELECT *, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS before FROM (SELECT *" +
			from + ") AS first) AS summed WHERE before < " + strconv.Itoa(fetchOctets) + " ORDER BY id")
	} else { // it makes the next row when that is asked for
		t.fetchSQL = d.text("SELECT " + columns + from)
	}
	t.removeSQL = d.text("DELETE FROM zamqp_outbox WHERE id IN IDS($1)")
	t.asideSQL = d.text("UPDATE zamqp_outbox SET reason = $2 WHERE id = $1 AND reason IS NULL")
	return t
}

// acquire takes the lease. token is 0 if another process has it.
func (t *table) acquire(ctx context.Context, holder string) (token int64, err error) {
	err = t.db.QueryRowContext(ctx, t.acquireSQL, t.connection, holder, lease.Milliseconds()).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return token, err
}

// renew reports whether the lease is still ours.
func (t *table) renew(ctx context.Context, token int64) (ours bool, err error) {
	done, err := t.db.ExecContext(ctx, t.renewSQL, t.connection, token, lease.Milliseconds())
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

func (t *table) release(ctx context.Context, token int64) error {
	_, err := t.db.ExecContext(ctx, t.releaseSQL, t.connection, token)
	return err
}

// oldest returns the time of the row with the lowest id; there is false if none waits.
func (t *table) oldest(ctx context.Context) (at time.Time, there bool, err error) {
	var ms int64
	switch err = t.db.QueryRowContext(ctx, t.anySQL, t.connection).Scan(&ms); {
	case errors.Is(err, sql.ErrNoRows):
		return at, false, nil
	case err != nil:
		return at, false, err
	}
	return time.UnixMilli(ms), true, nil
}

func (t *table) count(ctx context.Context) (waiting, aside int64, err error) {
	err = t.db.QueryRowContext(ctx, t.countSQL, t.connection).Scan(&waiting, &aside)
	return waiting, aside, err
}

// fetch reads rows with ids above after, the lowest first, without those on their way: as many as fit
// into the bounds, and one at least.
func (t *table) fetch(ctx context.Context, after int64, flying map[int64]*flight) (rows []*Row, err error) {
	found, err := t.db.QueryContext(ctx, t.fetchSQL, t.connection, after, listOf(len(flying), maps.Keys(flying)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }() // Err has its error
	octets := 0
	for octets < fetchOctets && found.Next() {
		r := &Row{Connection: t.connection}
		var mandatory int
		var ms int64
		if err := found.Scan(&r.ID, &r.Producer, &r.Exchange, &r.RoutingKey, &mandatory, &r.Properties, &r.Body, &ms); err != nil {
			return nil, err
		}
		r.Mandatory, r.Created = mandatory != 0, time.UnixMilli(ms)
		octets += r.size()
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// remove deletes rows that the broker has confirmed. That is right even if another process has the
// lease by now.
func (t *table) remove(ctx context.Context, ids []int64) error {
	_, err := t.db.ExecContext(ctx, t.removeSQL, listOf(len(ids), slices.Values(ids)))
	return err
}

// listOf returns numbers as IDS wants them.
func listOf(n int, ids iter.Seq[int64]) string {
	list := make([]byte, 0, n*8)
	for id := range ids {
		if len(list) > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, id, 10)
	}
	return string(list)
}

// aside keeps a row that the broker has refused, with its reason.
func (t *table) aside(ctx context.Context, id int64, reason string) error {
	_, err := t.db.ExecContext(ctx, t.asideSQL, id, clean(reason))
	return err
}

// clean returns a text that PostgreSQL takes: UTF-8 without a zero.
func clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	if text == "" {
		return "refused"
	}
	return text
}
