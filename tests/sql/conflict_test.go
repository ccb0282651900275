package sql_test

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

// race adds 1 to the number that it has read. With lose, another transaction writes it in between.
func (e *engine) race(r *publisher.Request, other *sql.DB, lose bool) error {
	tx, err := r.SQL(e.DB, publisher.SQLIsolation(sql.LevelSerializable))
	if err != nil {
		return err
	}
	n := 0
	if err := tx.QueryRowContext(r.Context(), "SELECT n FROM orders").Scan(&n); err != nil {
		return err
	}
	if lose {
		if _, err := other.Exec("UPDATE orders SET n = 10"); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(r.Context(), e.q("UPDATE orders SET n = ?"), n+1)
	return err
}

// TestConflictAtAStatement: another transaction changes the row that this one has read. The call
// runs again, in a new transaction, whatever the handler made of the error.
func TestConflictAtAStatement(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.must(t, "INSERT INTO orders VALUES ('a', 0)")
		other := e.another(t)
		runs := 0
		run := func(r *publisher.Request) error {
			runs++
			if err := r.Publish("orders", "n"); err != nil {
				return err
			}
			return e.race(r, other, runs == 1)
		}
		g := registry()
		g.Handle("POST /returned", run)
		g.Handle("POST /changed", func(r *publisher.Request) error {
			if run(r) != nil {
				return publisher.Errorf(http.StatusInternalServerError, "something else")
			}
			return nil
		})
		g.Handle("POST /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if err := run(publisher.FromContext(req.Context())); err != nil {
				http.Error(w, "no", http.StatusInternalServerError)
			}
		})))
		g.Handle("POST /do", func(r *publisher.Request) error {
			runs++
			tx, err := r.SQL(e.DB, publisher.SQLIsolation(sql.LevelSerializable))
			if err != nil {
				return err
			}
			_ = r.Publish("orders", "n")
			return tx.Do(func(tx *sql.Tx) error {
				n := 0
				if err := tx.QueryRow("SELECT n FROM orders").Scan(&n); err != nil {
					return err
				}
				if runs == 1 {
					if _, err := other.Exec("UPDATE orders SET n = 10"); err != nil {
						return err
					}
				}
				_, err := tx.Exec(e.q("UPDATE orders SET n = ?"), n+1)
				return err
			})
		})
		s := publishertest.New(t, g)
		for _, path := range []string{"/returned", "/changed", "/mounted", "/do"} {
			runs = 0
			if got := s.Request("POST", path, "", ""); got.Status >= 300 || runs != 2 {
				t.Errorf("%s: %d after %d runs: %v", path, got.Status, runs, got.Err)
			}
			var n int
			if err := e.QueryRow("SELECT n FROM orders").Scan(&n); err != nil || n != 11 {
				t.Errorf("%s: n = %d, %v", path, n, err)
			}
			if got := bodies(s.Published()); got != "n" {
				t.Errorf("%s: published %q", path, got)
			}
		}
	})
}

// TestConflictAtCommit: PostgreSQL finds a write skew when the second transaction commits. The
// call runs again, unless another database has committed already: that would do its work twice.
func TestConflictAtCommit(t *testing.T) {
	e, before := onPostgres(t), onSQLite(t)
	e.must(t, "INSERT INTO orders VALUES ('a', 1), ('b', 1)")
	runs := 0
	skew := func(r *publisher.Request) error {
		runs++
		tx, err := r.SQL(e.DB, publisher.SQLIsolation(sql.LevelSerializable))
		if err != nil {
			return err
		}
		sum := 0
		if err := tx.QueryRowContext(r.Context(), "SELECT sum(n) FROM orders").Scan(&sum); err != nil {
			return err
		}
		if _, err = tx.ExecContext(r.Context(), "UPDATE orders SET n = 0 WHERE id = 'a'"); err != nil || runs > 1 {
			return err
		}
		return r.Offload(func() error {
			other, err := e.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable})
			if err != nil {
				return err
			}
			if err := other.QueryRow("SELECT sum(n) FROM orders").Scan(&sum); err != nil {
				return err
			}
			if _, err := other.Exec("UPDATE orders SET n = 0 WHERE id = 'b'"); err != nil {
				return err
			}
			return other.Commit()
		})
	}
	g := registry()
	g.Handle("POST /alone", skew)
	g.Handle("POST /unused", func(r *publisher.Request) error {
		if _, err := r.SQL(before.DB); err != nil {
			return err
		}
		return skew(r)
	})
	g.Handle("POST /after", func(r *publisher.Request) error {
		if err := before.insert(r, "once"); err != nil {
			return err
		}
		return skew(r)
	})
	s := publishertest.New(t, g)
	for _, row := range []struct {
		path         string
		status, runs int
	}{{"/alone", 204, 2}, {"/unused", 204, 2}, {"/after", 500, 1}} {
		runs = 0
		if got := s.Request("POST", row.path, "", ""); got.Status != row.status || runs != row.runs {
			t.Errorf("%s: %d after %d runs: %v", row.path, got.Status, runs, got.Err)
		}
	}
	before.both(t, s, "once", "")
}

// TestBusy: a lock that SQLite does not get is a conflict, which is given up after some runs.
func TestBusy(t *testing.T) {
	e := onSQLite(t)
	holder, err := e.another(t).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec("INSERT INTO orders VALUES ('held', 1)"); err != nil {
		t.Fatal(err)
	}
	runs := 0
	g := registry()
	g.Handle("POST /", func(r *publisher.Request) error { runs++; return e.add(r, "a") })
	g.Consume("work", publisher.Consumer{}, func(r *publisher.Request) error { return e.add(r, "b") })
	s := publishertest.New(t, g)
	if got := s.Request("POST", "/", "", ""); got.Status != http.StatusConflict || runs != 4 || !contains(got.Err, "*sqlite.Driver") {
		t.Errorf("%d after %d runs: %v", got.Status, runs, got.Err)
	}
	if got := s.Deliver("work", publisher.Publishing{}); got.Settlement != publisher.SettleRetry {
		t.Errorf("%+v", got)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := s.Request("POST", "/", "", ""); got.Status != 204 {
		t.Errorf("%d %v", got.Status, got.Err)
	}
	e.both(t, s, "a", "a")
}

// TestConflictAfterAutoAck: a message that was acked before its call is not lost by a conflict.
func TestConflictAfterAutoAck(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.must(t, "INSERT INTO orders VALUES ('a', 0)")
		other := e.another(t)
		runs := 0
		g := registry()
		g.Consume("work", publisher.Consumer{AutoAck: true}, func(r *publisher.Request) error {
			runs++
			return e.race(r, other, runs == 1)
		})
		s := publishertest.New(t, g)
		got := s.Deliver("work", publisher.Publishing{})
		var n int
		if err := e.QueryRow("SELECT n FROM orders").Scan(&n); err != nil || n != 11 || runs != 2 || got.Err != nil {
			t.Errorf("n = %d after %d runs: %+v, %v", n, runs, got, err)
		}
	})
}
