package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// dbtx is what code that sqlc has generated asks for.
type dbtx interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	PrepareContext(context.Context, string) (*sql.Stmt, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

var _ dbtx = (*publisher.SQL)(nil)

// insert writes an order in the call's transaction.
func (e *engine) insert(r *publisher.Request, id string, options ...publisher.SQLOption) error {
	tx, err := r.SQL(e.DB, options...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(r.Context(), e.q("INSERT INTO orders (id, n) VALUES (?, 0)"), id)
	return err
}

// add writes an order and publishes it.
func (e *engine) add(r *publisher.Request, id string) error {
	if err := e.insert(r, id); err != nil {
		return err
	}
	return r.Publish("orders", id)
}

func bodies(published []publishertest.Published) string {
	var all []string
	for _, p := range published {
		all = append(all, string(p.Body))
	}
	return strings.Join(all, " ")
}

func registry() *publisher.Registry {
	g := publisher.NewRegistry()
	g.Produce("orders", publisher.Producer{Queue: "orders", Codec: "text"})
	return g
}

// both fails the test unless the database has these orders and the broker these messages.
func (e *engine) both(t *testing.T, s *publishertest.Server, orders, messages string) {
	t.Helper()
	if got := e.ids(t); got != orders {
		t.Errorf("orders %q, want %q", got, orders)
	}
	if got := bodies(s.Published()); got != messages {
		t.Errorf("messages %q, want %q", got, messages)
	}
}

// TestAllSources: a call of each source commits its rows and messages, or neither.
func TestAllSources(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		fails := true
		run := func(r *publisher.Request, id string) error {
			if err := e.add(r, id); err != nil {
				return err
			}
			if fails {
				return publisher.Errorf(http.StatusUnprocessableEntity, "no")
			}
			return nil
		}
		g := registry()
		g.Handle("POST /http", func(r *publisher.Request) error { return run(r, "http") })
		g.Handle("POST /child", func(r *publisher.Request) error {
			r.Go(func() error { return run(r, "child") })
			return r.Wait()
		})
		mounted := func(w http.ResponseWriter, req *http.Request) {
			if err := run(publisher.FromContext(req.Context()), "mounted"); err != nil {
				http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			}
		}
		g.Handle("POST /mounted", publisher.HTTP(http.HandlerFunc(mounted)))
		g.Handle("POST /route", func(r *publisher.Request) error { return run(r, "route") })
		g.Consume("message", publisher.Consumer{}, func(r *publisher.Request) error { return run(r, "message") })
		g.Consume("routed", publisher.Consumer{Route: "POST /route"}, nil)
		g.Every("tick", publisher.Clock{Period: time.Hour}, func(r *publisher.Request) error { return run(r, "tick") })
		s := publishertest.New(t, g)
		all := func() {
			for _, path := range []string{"/http", "/child", "/mounted"} {
				if got := s.Request("POST", path, "", ""); got.Status >= 400 != fails {
					t.Errorf("%s: %d %v", path, got.Status, got.Err)
				}
			}
			for _, consumer := range []string{"message", "routed"} {
				if got := s.Deliver(consumer, publisher.Publishing{}); got.Err == nil == fails {
					t.Errorf("%s: %v", consumer, got.Err)
				}
			}
			if got := s.Tick("tick"); got.Err == nil == fails {
				t.Errorf("tick: %v", got.Err)
			}
		}
		all()
		e.both(t, s, "", "")
		fails = false
		all()
		e.both(t, s, "child http message mounted route tick", "http child mounted message route tick")
	})
}

// TestOneTransaction: two calls of SQL give one transaction, with the options of the first; a
// panic rolls it back; a transaction that is not used does not begin.
func TestOneTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		var late *publisher.SQL
		g := registry()
		g.Handle("POST /twice", func(r *publisher.Request) error {
			one, err := r.SQL(e.DB, publisher.SQLIsolation(sql.LevelSerializable))
			if err != nil {
				return err
			}
			if _, err := one.ExecContext(context.Background(), "INSERT INTO orders VALUES ('a', 1)"); err != nil {
				return err
			}
			two, err := r.SQL(e.DB, publisher.SQLIsolation(sql.LevelSerializable))
			if err != nil {
				return err
			}
			n := 0
			if err := two.QueryRowContext(r.Context(), "SELECT n FROM orders WHERE id = 'a'").Scan(&n); err != nil {
				return err
			}
			if _, err := r.SQL(e.DB, publisher.SQLReadOnly()); err == nil || !strings.Contains(err.Error(), "has begun") {
				t.Errorf("options after the beginning: %v", err)
			}
			late = two
			return r.Text(200, fmt.Sprint(n))
		})
		g.Handle("POST /late", func(r *publisher.Request) error {
			_, err := late.ExecContext(r.Context(), "DELETE FROM orders")
			if !errors.Is(err, publisher.ErrOver) {
				t.Errorf("a transaction of another call: %v", err)
			}
			return nil
		})
		g.Handle("POST /panic", func(r *publisher.Request) error {
			if err := e.insert(r, "b"); err != nil {
				return err
			}
			panic("on purpose")
		})
		g.Handle("POST /unused", func(r *publisher.Request) error {
			if _, err := r.SQL(e.DB); err != nil {
				return err
			}
			if n := e.Stats().InUse; n != 0 {
				t.Errorf("%d connections are in use for nothing", n)
			}
			return r.Publish("orders", "unused")
		})
		g.Handle("POST /pool", func(r *publisher.Request) error { return e.insert(r, "c", publisher.SQLPool("none")) })
		s := publishertest.New(t, g)
		for _, row := range []struct {
			path   string
			status int
		}{{"/twice", 200}, {"/late", 204}, {"/panic", 500}, {"/unused", 204}, {"/pool", 500}} {
			if got := s.Request("POST", row.path, "", ""); got.Status != row.status {
				t.Errorf("%s: %d %v", row.path, got.Status, got.Err)
			}
		}
		e.both(t, s, "a", "unused")
	})
}

// TestTwoDatabases: both commit, or the first failure rolls both back.
func TestTwoDatabases(t *testing.T) {
	a, b := onSQLite(t), onPostgres(t)
	g := registry()
	g.Handle("POST /{id}", func(r *publisher.Request) error {
		for _, e := range []*engine{a, b} {
			if err := e.insert(r, r.PathValue("id")); err != nil {
				return err
			}
		}
		return nil
	})
	s := publishertest.New(t, g)
	b.must(t, "INSERT INTO orders (id) VALUES ('two')")
	for path, status := range map[string]int{"/one": 204, "/two": 500} {
		if got := s.Request("POST", path, "", ""); got.Status != status {
			t.Errorf("%s: %d %v", path, got.Status, got.Err)
		}
	}
	a.both(t, s, "one", "")
	b.both(t, s, "one two", "")
}

// TestRows: what a query returns is what database/sql returns, and it does not occupy the
// connection.
func TestRows(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.must(t, "CREATE TABLE things (i INTEGER, f DOUBLE PRECISION, s TEXT, b "+map[string]string{"pgx": "BYTEA", "sqlite": "BLOB"}[e.driver]+", t TIMESTAMP)")
		e.must(t, "INSERT INTO things VALUES (?, ?, ?, ?, ?)", 1, 2.5, "three", []byte{4, 0}, time.Unix(5, 0).UTC())
		e.must(t, "INSERT INTO things VALUES (?, ?, ?, ?, ?)", nil, nil, nil, nil, nil)
		const query = "SELECT * FROM things ORDER BY i IS NULL"
		type db interface {
			QueryContext(context.Context, string, ...any) (*sql.Rows, error)
		}
		read := func(db db) (all []string) {
			rows, err := db.QueryContext(context.Background(), query)
			if err != nil {
				t.Error(err)
				return nil
			}
			defer rows.Close()
			types, _ := rows.ColumnTypes()
			for _, c := range types {
				all = append(all, fmt.Sprint(c.Name(), c.DatabaseTypeName(), c.ScanType()))
			}
			for rows.Next() {
				var i sql.NullInt64
				var f *float64
				var s sql.NullString
				var b []byte
				var at any
				if err := rows.Scan(&i, &f, &s, &b, &at); err != nil {
					t.Error(err)
				}
				if f == nil {
					f = new(float64)
				}
				all = append(all, fmt.Sprintf("%v %v %v %v %T%v", i, *f, s, b, at, at))
			}
			if err := rows.Err(); err != nil {
				t.Error(err)
			}
			return all
		}
		want := read(e.DB)
		g := registry()
		g.Handle("POST /rows", func(r *publisher.Request) error {
			tx, err := r.SQL(e.DB)
			if err != nil {
				return err
			}
			if got := read(tx); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			rows, err := tx.QueryContext(r.Context(), query)
			if err != nil {
				return err
			}
			for rows.Next() { // the next statement does not wait for the rest of the rows
				if _, err := tx.ExecContext(r.Context(), "UPDATE things SET i = 1"); err != nil {
					return err
				}
			}
			var i int
			if err := tx.QueryRowContext(r.Context(), "SELECT i FROM things WHERE i = 9").Scan(&i); !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("no row: %v", err)
			}
			if _, err := tx.PrepareContext(r.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "Do") {
				t.Errorf("a prepared statement on the loop: %v", err)
			}
			return tx.Do(func(tx *sql.Tx) error {
				stmt, err := tx.PrepareContext(context.Background(), e.q("INSERT INTO orders (id) VALUES (?)"))
				if err != nil {
					return err
				}
				for n := range 3 {
					if _, err := stmt.Exec(fmt.Sprint(n)); err != nil {
						return err
					}
				}
				return nil
			})
		})
		g.Handle("POST /large", func(r *publisher.Request) error {
			tx, err := r.SQL(e.DB)
			if err != nil {
				return err
			}
			_, err = tx.QueryContext(r.Context(), "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 2000000) SELECT x FROM c")
			if err == nil || !strings.Contains(err.Error(), "more than 16777216 octets") {
				t.Errorf("a large result: %v", err)
			}
			return err
		})
		g.Handle("POST /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			tx, err := publisher.FromContext(req.Context()).SQL(e.DB)
			if err != nil {
				t.Error(err)
				return
			}
			stmt, err := tx.PrepareContext(req.Context(), e.q("INSERT INTO orders (id) VALUES (?)"))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err = stmt.ExecContext(req.Context(), "prepared"); err != nil {
				t.Error(err)
			}
		})))
		s := publishertest.New(t, g)
		for path, status := range map[string]int{"/rows": 204, "/large": 500, "/mounted": 200} {
			if got := s.Request("POST", path, "", ""); got.Status != status {
				t.Errorf("%s: %d %v", path, got.Status, got.Err)
			}
		}
		e.both(t, s, "0 1 2 prepared", "")
	})
}

// TestChildrenShareATransaction: statements of functions that run at the same time do not meet.
func TestChildrenShareATransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		g := registry()
		g.Handle("POST /", func(r *publisher.Request) error {
			for n := range 50 {
				r.Go(func() error {
					if err := e.insert(r, fmt.Sprintf("%02d", n)); err != nil {
						return err
					}
					tx, _ := r.SQL(e.DB)
					rows, err := tx.QueryContext(r.Context(), "SELECT id FROM orders")
					if err == nil {
						err = rows.Close()
					}
					return err
				})
			}
			return r.Wait()
		})
		s := publishertest.New(t, g)
		if got := s.Request("POST", "/", "", ""); got.Status != 204 {
			t.Errorf("%d %v", got.Status, got.Err)
		}
		if got := len(strings.Fields(e.ids(t))); got != 50 {
			t.Errorf("%d orders", got)
		}
	})
}
