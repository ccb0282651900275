package sql_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/outbox"
	"zamqp/publisher/publishertest"
)

// BenchmarkInsert is what r.SQL adds to a transaction that inserts a row: the same by hand, by a
// call, and by a message with an inbox.
func BenchmarkInsert(b *testing.B) {
	for _, driver := range []string{"sqlite", "pgx"} {
		e := &engine{driver: driver}
		e.dsn = "file:" + b.TempDir() + "/bench.db" + sqliteDSN
		if driver == "pgx" {
			e.dsn = newSchema(b)
		}
		var err error
		if e.DB, err = sql.Open(driver, e.dsn); err != nil {
			b.Fatal(err)
		}
		d, err := outbox.DialectOf(b.Context(), e.DB)
		if err == nil {
			_, err = outbox.Init(b.Context(), e.DB, d)
		}
		if err == nil {
			_, err = e.Exec("CREATE TABLE orders (id TEXT PRIMARY KEY, n INTEGER)")
		}
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		next := func() string { n++; return fmt.Sprint(n) }
		g := e.inboxed(func(r *publisher.Request) error { return e.insert(r, next()) })
		g.Consume("plain", publisher.Consumer{}, func(r *publisher.Request) error { return e.insert(r, next()) })
		s := publishertest.New(b, g)
		b.Run(driver+"/hand", func(b *testing.B) {
			for b.Loop() {
				ctx := context.Background()
				tx, err := e.BeginTx(ctx, nil)
				if err == nil {
					_, err = tx.ExecContext(ctx, e.q("INSERT INTO orders (id, n) VALUES (?, 0)"), next())
				}
				if err == nil {
					err = tx.Commit()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, consumer := range []string{"plain", "work"} {
			b.Run(driver+"/"+map[string]string{"plain": "call", "work": "inbox"}[consumer], func(b *testing.B) {
				for b.Loop() {
					if got := s.Deliver(consumer, message(next())); got.Err != nil {
						b.Fatal(got.Err)
					}
				}
			})
		}
		_ = e.Close()
	}
}
