package outbox

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// A Row is a publish in the table.
type Row struct {
	ID                   int64
	Connection           string // that it is sent with
	Producer             string // "" for none
	Exchange, RoutingKey []byte
	Mandatory            bool
	Properties           []byte // flags and values as on the wire
	Body                 []byte
	Created              time.Time // when its call committed
	Reason               string    // why the broker refused it; "" if it waits
}

// size is what a row takes in memory, about.
func (r *Row) size() int {
	return 256 + len(r.Exchange) + len(r.RoutingKey) + len(r.Properties) + len(r.Body)
}

// Bounds of one INSERT. Databases limit the number of parameters of a statement, and drivers keep
// its octets twice.
const (
	insertRows   = 100
	insertOctets = 4 << 20
	rowColumns   = 8
)

// Insert adds rows to a transaction, in their order. It keeps nothing of them.
func Insert(ctx context.Context, q Queryer, d Dialect, rows []Row) error {
	for len(rows) > 0 {
		n, octets := 0, 0
		for n < len(rows) && n < insertRows && (n == 0 || octets+rows[n].size() <= insertOctets) {
			octets += rows[n].size()
			n++
		}
		args := make([]any, 0, n*rowColumns)
		for i := range rows[:n] {
			r := &rows[i]
			args = append(args, r.Connection, r.Producer, present(r.Exchange), present(r.RoutingKey), bit(r.Mandatory),
				present(r.Properties), present(r.Body), r.Created.UnixMilli())
		}
		if _, err := q.ExecContext(ctx, insertText(d, n), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// insertText returns the statement for n rows.
func insertText(d Dialect, n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO zamqp_outbox (connection, producer, exchange, routing_key, mandatory, properties, body, created_ms) VALUES ")
	for i := range n * rowColumns {
		switch {
		case i == 0:
			b.WriteString("($")
		case i%rowColumns == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteString(")")
	return d.text(b.String())
}

// present returns octets that a driver does not take for NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func bit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
