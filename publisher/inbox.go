package publisher

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"zamqp/publisher/outbox"
)

// An inbox keeps the ids of the messages that a consumer has handled in a database: see
// [Dedupe.Database]. An id is a row of the same transaction as what the handler writes there, so
// both are committed, or neither.
//
// The id is inserted when the transaction begins, by the handler's first statement, or else when
// the handler has returned. A second process with the same id waits there for the first.
type inbox struct {
	consumer string
	database string
	of       func(c *Call) []byte
}

// errHandled ends the run of a handler whose message has been handled.
var errHandled = errors.New("a message with this id has been handled")

// newInbox returns the inbox of a consumer; nil for none.
func newInbox(name string, d Dedupe) (*inbox, error) {
	if d.Key == "" || d.Database == "" {
		return nil, nil
	}
	of, err := d.Of()
	if err != nil {
		return nil, fmt.Errorf("dedupe.key %q: %w", d.Key, err)
	}
	return &inbox{consumer: name, database: d.Database, of: of}, nil
}

// around is the consumer's handler, with the inbox around it.
func (x *inbox) around(h Handler) Handler {
	return func(r *Request) error {
		id := x.id(r)
		if id == "" {
			return h(r)
		}
		d, err := x.open(r)
		if err != nil {
			return err
		}
		handled := false
		err = r.Offload(func() (err error) {
			handled, err = x.has(r.Context(), d, id)
			return err
		})
		switch {
		case err != nil:
			return err
		case handled:
			return errHandled
		}
		if err := h(r); err != nil {
			return err
		}
		return x.keep(r)
	}
}

// keep puts the id into the transaction, if no statement of the handler has.
func (x *inbox) keep(r *Request) error {
	if x.id(r) == "" {
		return nil
	}
	d, err := x.open(r)
	if err != nil {
		return err
	}
	t, err := r.joinSQL(d.db, nil)
	if err != nil {
		return err
	}
	return t.work(r, func() error { return nil })
}

func (x *inbox) open(r *Request) (*database, error) {
	if d := r.server.database(x.database); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("consumer.%s.dedupe.database: no database %q is open: call publisher.Database(%q, …)", x.consumer, x.database, x.database)
}

// has runs on a goroutine.
func (x *inbox) has(ctx context.Context, d *database, id string) (bool, error) {
	if _, err := d.speaks(ctx, d.db); err != nil {
		return false, fmt.Errorf("database %s: %w: %w", d.name, ErrUnavailable, err)
	}
	handled, err := outbox.Has(ctx, d.db, x.consumer, id)
	if err != nil {
		t := sqlTx{name: "database " + d.name}
		return false, t.meaning(err)
	}
	return handled, nil
}

// first returns what the transaction of a database does before all else: nil, unless the call's
// message has an id for an inbox in it.
func (r *Request) first(db *sql.DB) func(ctx context.Context, tx *sql.Tx) error {
	if r.consumer == nil || r.consumer.inbox == nil {
		return nil
	}
	x := r.consumer.inbox
	id, now := x.id(r), r.Now()
	if d := r.server.database(x.database); id == "" || d == nil || d.db != db {
		return nil
	}
	return func(ctx context.Context, tx *sql.Tx) error {
		added, err := outbox.Add(ctx, tx, x.consumer, id, now)
		if err == nil && !added {
			return errHandled
		}
		return err
	}
}

// id is a hash of the message's id, because that is foreign text of any length and any octets; "" if
// it has none.
func (x *inbox) id(r *Request) string {
	id := x.of(r.forDoor())
	if len(id) == 0 {
		return ""
	}
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:16])
}
