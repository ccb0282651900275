// Package guide_test runs what docs/guide/databases.md shows: the page has only code of this file.
package guide_test

import (
	"context"
	"database/sql"
	"os"
	"regexp"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
	"zamqp/tests/kit/postgres"
)

var db *sql.DB

func init() {
	publisher.OnStart(func(ctx context.Context) (err error) {
		if db, err = sql.Open("pgx", os.Getenv("SHOP_DSN")); err != nil {
			return err
		}
		return db.PingContext(ctx)
	})
	publisher.OnStop(func(context.Context) error { return db.Close() })
	publisher.Database("shop", func() (*sql.DB, error) { return db, nil })
	publisher.Handle("POST /orders/{id}", order)
}

func order(r *publisher.Request) error {
	tx, err := r.SQL(db)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(r.Context(), "INSERT INTO orders (id) VALUES ($1)", r.PathValue("id")); err != nil {
		return err // rolled back, and nothing is published
	}
	return r.Publish("orders", r.PathValue("id")) // leaves when the row is committed
}

func init() {
	publisher.Produce("orders", publisher.Producer{Queue: "orders", Codec: "text"})
	publisher.Produce("coupons", publisher.Producer{Queue: "coupons", Codec: "text"})
	publisher.Handle("GET /orders", list)
	publisher.Handle("POST /coupons/{code}", coupon)
}

func list(r *publisher.Request) error {
	tx, err := r.SQL(db)
	if err != nil {
		return err
	}
	err = tx.Do(func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(r.Context(), "SELECT id FROM orders")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			// …
		}
		return rows.Err()
	})
	return err
}

func coupon(r *publisher.Request) error {
	code := r.PathValue("code")
	tx, err := r.SQL(db)
	if err != nil {
		return err
	}
	err = tx.Savepoint(func() error {
		if _, err := tx.ExecContext(r.Context(), "INSERT INTO coupons (code) VALUES ($1)", code); err != nil {
			return err
		}
		return r.Publish("coupons", code)
	})
	if err != nil {
		return r.Text(200, "used before")
	}
	return r.Text(200, "new")
}

func TestPage(t *testing.T) {
	dsn := postgres.Start(t)
	admin, err := sql.Open("pgx", dsn)
	if err == nil {
		_, err = admin.Exec("CREATE TABLE orders (id TEXT PRIMARY KEY); CREATE TABLE coupons (code TEXT PRIMARY KEY)")
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = admin.Close()
	t.Setenv("SHOP_DSN", dsn)
	s := publishertest.New(t, publisher.Default)
	for _, row := range []struct {
		method, path string
		status       int
		body         string
		published    int
	}{
		{"POST", "/orders/1", 204, "", 1},
		{"POST", "/orders/1", 500, "Internal Server Error", 0},
		{"GET", "/orders", 204, "", 0},
		{"POST", "/coupons/x", 200, "new", 1},
		{"POST", "/coupons/x", 200, "used before", 0},
	} {
		got := s.Request(row.method, row.path, "", "")
		if n := len(s.Published()); got.Status != row.status || strings.TrimSpace(got.Body) != row.body || n != row.published {
			t.Errorf("%s %s: %d %q, %d published: %v", row.method, row.path, got.Status, got.Body, n, got.Err)
		}
	}
}

var fence = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestSnippets: the page shows only code of this file, perhaps less indented.
func TestSnippets(t *testing.T) {
	code, err := os.ReadFile("databases_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/guide/databases.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string { return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(s, "") }
	snippets := fence.FindAllStringSubmatch(string(page), -1)
	if len(snippets) == 0 {
		t.Error("the page shows no code")
	}
	for _, m := range snippets {
		if !strings.Contains(plain(string(code)), plain(m[1])) {
			t.Errorf("the page shows code that this file does not have:\n%s", m[1])
		}
	}
}
