package outbox_test

import (
	"database/sql"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	_ "zamqp/handlers/health"
	_ "zamqp/handlers/metrics"
	"zamqp/publisher"
)

// shop is the database of the server processes.
var shop *sql.DB

func init() {
	publisher.Database("shop", func() (_ *sql.DB, err error) {
		shop, err = sql.Open(os.Getenv("OUTBOX_DRIVER"), os.Getenv("OUTBOX_DSN"))
		return shop, err
	})
	publisher.Produce("orders", publisher.Producer{Exchange: "outbox-${site_id}", ExchangeType: "topic", Mandatory: true})
	publisher.Handle("PUT /orders/{id}", order)
	publisher.Handle("PUT /http/{id}", publisher.HTTP(http.HandlerFunc(mounted)))
	publisher.Handle("POST /rich", rich)
	publisher.Handle("POST /alone", func(r *publisher.Request) error {
		return r.Publish("orders", "0", publisher.Key("k.alone"), publisher.ContentType("text/plain"))
	})
	publisher.Handle("POST /foreign", func(r *publisher.Request) error {
		other, err := sql.Open(os.Getenv("OUTBOX_DRIVER"), os.Getenv("OUTBOX_DSN"))
		if err != nil {
			return err
		}
		if err := place(r, other, "foreign"); err != nil {
			return err
		}
		return r.Publish("orders", "0", publisher.Key("k.foreign"))
	})
}

// place inserts an order. One that is there is not an error: its message was published with it.
func place(r *publisher.Request, db *sql.DB, id string) error {
	tx, err := r.SQL(db)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(r.Context(), "INSERT INTO orders (id) VALUES ($1)", id)
	if err != nil && (strings.Contains(err.Error(), "UNIQUE") || strings.Contains(err.Error(), "23505")) {
		return publisher.Errorf(http.StatusConflict, "it is there")
	}
	return err
}

func order(r *publisher.Request) error {
	id := r.PathValue("id")
	if err := place(r, shop, id); err != nil {
		return err
	}
	n := strings.TrimPrefix(id, "m")
	if err := r.Publish("orders", n, publisher.Key(r.Query().Get("key")), publisher.MessageID(id), publisher.ContentType("text/plain")); err != nil {
		return err
	}
	if r.Query().Get("fail") != "" {
		return errors.New("it fails after all")
	}
	return r.Reply(http.StatusAccepted, "")
}

func mounted(w http.ResponseWriter, req *http.Request) {
	r := publisher.FromContext(req.Context())
	id := req.PathValue("id")
	if err := place(r, shop, id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = r.Publish("orders", strings.TrimPrefix(id, "m"), publisher.Key("k.http"), publisher.MessageID(id), publisher.ContentType("text/plain"))
	w.WriteHeader(http.StatusAccepted)
}

// rich publishes with every property.
func rich(r *publisher.Request) error {
	if err := place(r, shop, "rich"); err != nil {
		return err
	}
	return r.Publish("orders", []byte{0, 255, 1}, publisher.Key("k.rich"), publisher.ContentType("application/x-odd"), publisher.ContentEncoding("odd"),
		publisher.Header("text", "t\x00\xff"), publisher.Header("number", int64(-5)), publisher.Header("octets", []byte{0, 200}),
		publisher.Header("time", time.Unix(1e9, 0)), publisher.Header("table", publisher.Table{"inner": true}),
		publisher.CorrelationID("c"), publisher.ReplyTo("q"), publisher.Expiration(time.Hour), publisher.Priority(7),
		publisher.Timestamp(time.Unix(1e9, 0)), publisher.Type("y"), publisher.AppID("a"))
}
