package publisher

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher/outbox"
)

// A rowSender is a Sender whose publishes become rows of the outbox when their call has joined SQL.
type rowSender interface {
	// Rows returns the names of the connection and of the producer in the rows. ok is false if
	// publishes do not become rows.
	Rows() (connection, producer string, ok bool)
}

// A sqlWriter is a participant that is an SQL transaction.
type sqlWriter interface {
	database() *sql.DB
	readOnly() bool
	// write runs fn on the transaction, not on the loop's thread, and waits. It is called after all
	// participants have prepared and before the first commits.
	write(r *Request, fn func(ctx context.Context, tx *sql.Tx) error) error
}

// boxed is what a commit remembers of the rows that it has written.
type boxed struct {
	database    *database
	connections []string // whose rows they are
}

// box makes rows of the call's publishes if their connections have an outbox and the call has
// joined SQL in a transaction that may write. The other publishes stay. If the call has joined several databases, the rows are in the
// one that commits last: then everything that a message tells of has been committed.
func (r *Request) box() (b boxed, err error) {
	t := &r.tx
	var w sqlWriter
	for _, p := range t.participants {
		if x, is := p.(sqlWriter); is && !x.readOnly() {
			w = x
		}
	}
	if w == nil {
		return b, nil
	}
	rows := r.rows(&b)
	if len(rows) == 0 {
		return b, nil
	}
	d := r.server.databaseOf(w.database())
	if d == nil {
		return b, fmt.Errorf("connection %s has outbox = \"sql\", but the server does not know the database that the call has joined: register it by publisher.Database", b.connections[0])
	}
	b.database = d
	err = w.write(r, func(ctx context.Context, tx *sql.Tx) error {
		dialect, err := d.speaks(ctx, tx)
		if err != nil {
			return err
		}
		return outbox.Insert(ctx, tx, dialect, rows)
	})
	if err != nil {
		return boxed{}, fmt.Errorf("outbox: %w", err)
	}
	t.pubs = slices.DeleteFunc(t.pubs, func(p publication) bool {
		_, _, ok := rowsOf(p.sender)
		if ok && p.span != nil {
			p.span.End(nil)
		}
		return ok
	})
	r.server.stats.Boxed += uint64(len(rows))
	return b, nil
}

func rowsOf(s Sender) (connection, producer string, ok bool) {
	if x, is := s.(rowSender); is {
		return x.Rows()
	}
	return "", "", false
}

// rows returns the rows of the publishes that become some. They are views of the call's memory.
func (r *Request) rows(b *boxed) (rows []outbox.Row) {
	t := &r.tx
	now := time.Now()
	for i := range t.pubs {
		p := &t.pubs[i]
		connection, producer, ok := rowsOf(p.sender)
		if !ok {
			continue
		}
		if !slices.Contains(b.connections, connection) {
			b.connections = append(b.connections, connection)
		}
		body := p.large
		if body == nil {
			body = t.arena[p.bodyAt:p.endAt]
		}
		rows = append(rows, outbox.Row{
			Connection: connection, Producer: producer, Exchange: view(p.Exchange), RoutingKey: view(p.RoutingKey), Mandatory: p.Mandatory,
			Properties: identified(t.arena[p.propsAt:p.bodyAt]), Body: body, Created: now,
		})
		if p.span != nil { // it ends when the row is written
			p.span.Send(&p.Publication)
		}
	}
	return rows
}

// identified returns properties with a message id, so that receivers recognise a second copy.
func identified(raw []byte) []byte {
	if len(raw) >= 2 && binary.BigEndian.Uint16(raw)&amqpproto.FlagMessageID != 0 {
		return raw
	}
	var props amqpproto.Properties
	if len(raw) > 0 {
		if _, err := props.Decode(raw); err != nil {
			return raw // it was encoded by us
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	return props.AppendMessageID(make([]byte, 0, len(raw)+48), raw, hex.AppendEncode(nil, id[:]))
}

// wake tells the dispatchers of rows that were committed, or perhaps were.
func (b *boxed) wake() {
	if b.database == nil {
		return
	}
	for _, c := range b.connections {
		if wake := b.database.wake[c]; wake != nil {
			wake()
		}
	}
}
