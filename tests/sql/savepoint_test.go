package sql_test

import (
	"errors"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// TestSavepoint: what a savepoint's function has written and published is undone if it fails,
// and nothing else; the transaction survives a failed statement.
func TestSavepoint(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		no := errors.New("no")
		handler := func(r *publisher.Request) error {
			tx, err := r.SQL(e.DB)
			if err != nil {
				return err
			}
			if err := e.add(r, "before"); err != nil {
				return err
			}
			for range 2 { // the name can be used again
				err = tx.Savepoint(func() error {
					if err := e.add(r, "undone"); err != nil {
						return err
					}
					if err := r.Publish("nowhere", ""); err == nil {
						t.Error("published to nowhere")
					}
					return no
				})
				if err != no {
					t.Errorf("the error of the function: %v", err)
				}
			}
			err = tx.Savepoint(func() error { return e.insert(r, "before") })
			if err == nil {
				t.Error("a second row with one key")
			}
			err = tx.Savepoint(func() error {
				if err := e.add(r, "outer"); err != nil {
					return err
				}
				inner := tx.Savepoint(func() error { return errors.Join(e.add(r, "inner"), no) })
				if !errors.Is(inner, no) {
					t.Errorf("inner: %v", inner)
				}
				return tx.Savepoint(func() error { return e.add(r, "inner 2") })
			})
			if err != nil {
				return err
			}
			return e.add(r, "later")
		}
		g := registry()
		g.Handle("POST /", handler)
		g.Handle("POST /child", func(r *publisher.Request) error {
			tx, err := r.SQL(e.DB)
			if err != nil {
				return err
			}
			return tx.Savepoint(func() error {
				r.Go(func() error { return tx.Savepoint(func() error { return nil }) })
				return r.Wait()
			})
		})
		g.Handle("POST /panic", func(r *publisher.Request) error {
			tx, err := r.SQL(e.DB)
			if err != nil {
				return err
			}
			func() {
				defer func() { _ = recover() }()
				_ = tx.Savepoint(func() error { _ = e.insert(r, "half"); panic("on purpose") })
			}()
			return nil
		})
		s := publishertest.New(t, g)
		for path, status := range map[string]int{"/child": 500, "/panic": 500, "/": 204} {
			if got := s.Request("POST", path, "", ""); got.Status != status {
				t.Errorf("%s: %d %v", path, got.Status, got.Err)
			}
		}
		e.both(t, s, "before inner 2 later outer", "before outer inner 2 later")
	})
}

// TestFailedStatement: a handler that overlooks the error of a statement learns what PostgreSQL
// does with its transaction.
func TestFailedStatement(t *testing.T) {
	e := onPostgres(t)
	g := registry()
	g.Handle("POST /", func(r *publisher.Request) error {
		_ = e.add(r, "a")
		_ = e.insert(r, "a")
		return nil
	})
	s := publishertest.New(t, g)
	got := s.Request("POST", "/", "", "")
	if got.Status != 500 || errors.Is(got.Err, publisher.ErrCommitUnknown) {
		t.Errorf("%d %v", got.Status, got.Err)
	}
	for _, text := range []string{"SQLSTATE 23505", "Savepoint"} {
		if !contains(got.Err, text) {
			t.Errorf("the error does not say %q: %v", text, got.Err)
		}
	}
	e.both(t, s, "", "")
}
