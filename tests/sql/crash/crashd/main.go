// Command crashd is the server that the tests beside it kill. It has orders, and a consumer whose
// effects are rows.
package main

import (
	"database/sql"
	"errors"
	"net/http"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/crashpoint"
)

// books is the database.
var books *sql.DB

func init() {
	publisher.Database("books", func() (_ *sql.DB, err error) {
		books, err = sql.Open(os.Getenv("BOOKS_DRIVER"), os.Getenv("BOOKS_DSN"))
		return books, err
	})
	queue := os.Getenv("BOOKS_QUEUE")
	publisher.Produce("effects", publisher.Producer{Queue: queue, RoutingKey: queue})
	publisher.Produce("direct", publisher.Producer{Connection: "direct", RoutingKey: queue, Mandatory: true})
	publisher.Produce("done", publisher.Producer{Queue: queue + ".done", RoutingKey: queue + ".done"})
	publisher.Handle("PUT /orders/{id}", order)
	publisher.Handle("PUT /direct/{id}", direct)
	publisher.Consume("effects", publisher.Consumer{
		Queue:  queue,
		Dedupe: publisher.Dedupe{Key: "message_id", Database: "books"},
		Retry:  publisher.Retry{Attempts: 1000, Min: 10_000_000, Max: 100_000_000, Crashes: -1},
	}, effect)
}

func main() { os.Exit(app.Main(os.Args[1:])) }

// order writes a row and publishes a message about it.
func order(r *publisher.Request) error {
	id := r.PathValue("id")
	tx, err := r.SQL(books)
	if err != nil {
		return err
	}
	err = tx.QueryRowContext(r.Context(), `INSERT INTO orders (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id`, id).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return r.Reply(http.StatusOK, nil) // its message was published with it
	}
	if err != nil {
		return err
	}
	crashpoint.At("handler")
	if err := r.Publish("effects", id, publisher.MessageID(id)); err != nil {
		return err
	}
	return r.Reply(http.StatusCreated, nil)
}

// direct publishes without a row.
func direct(r *publisher.Request) error {
	id := r.PathValue("id")
	if err := r.Publish("direct", id, publisher.MessageID(id)); err != nil {
		return err
	}
	return r.Reply(http.StatusCreated, nil)
}

// effect writes a row for each message, and publishes that it is done.
func effect(r *publisher.Request) error {
	id := string(r.MessageID())
	tx, err := r.SQL(books)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(r.Context(), `INSERT INTO effects (id) VALUES ($1)`, id); err != nil {
		return err
	}
	crashpoint.At("handler")
	return r.Publish("done", id, publisher.MessageID(id))
}
