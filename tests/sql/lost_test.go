package sql_test

import (
	"database/sql"
	"errors"
	"net/http"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
	"zamqp/tests/kit/postgres"
)

// TestLostConnection: the connection is cut at a statement, at the commit before PostgreSQL gets
// it, and after that. Nothing is published, and the call never says that nothing was done while
// that is not known.
func TestLostConnection(t *testing.T) {
	e := onPostgres(t)
	p := throughProxy(t, e.dsn)
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	direct := e.DB
	e.DB = db
	g := registry()
	overlooks := false
	g.Handle("POST /{id}", func(r *publisher.Request) error {
		err := e.add(r, r.PathValue("id"))
		if overlooks {
			return nil
		}
		return err
	})
	g.Consume("work", publisher.Consumer{}, func(r *publisher.Request) error { return e.add(r, string(r.Body())) })
	s := publishertest.New(t, g)
	for _, row := range []struct {
		name, word       string
		after, overlooks bool
		unknown          bool
		orders           string
	}{
		{"begin", "begin", false, false, false, ""},
		{"statement", "INSERT", false, false, false, ""},
		{"overlooked", "INSERT", false, true, false, ""},
		{"before", "commit", false, false, true, ""},
		{"after", "commit", true, false, true, "after"},
	} {
		p.cut(row.word, row.after)
		overlooks = row.overlooks
		got := s.Request("POST", "/"+row.name, "", "")
		if got.Status != http.StatusServiceUnavailable || errors.Is(got.Err, publisher.ErrCommitUnknown) != row.unknown {
			t.Errorf("%s: %d %v", row.name, got.Status, got.Err)
		}
		(&engine{DB: direct}).both(t, s, row.orders, "")
	}
	p.cut("commit", false)
	if got := s.Deliver("work", publisher.Publishing{Body: []byte("m")}); got.Settlement != publisher.SettleRetry || !errors.Is(got.Err, publisher.ErrCommitUnknown) {
		t.Errorf("%+v", got)
	}
	if got := s.Deliver("work", publisher.Publishing{Body: []byte("m")}); got.Settlement != publisher.SettleAck {
		t.Errorf("%+v", got)
	}
	(&engine{DB: direct}).both(t, s, "after m", "m")
	if n := db.Stats().InUse; n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

// TestDatabaseAway: while the database is away the calls get 503, and it needs nothing when it
// is back.
func TestDatabaseAway(t *testing.T) {
	server := postgres.New(t)
	e := open(t, "pgx", server.URL)
	g := registry()
	kill := false
	g.Handle("POST /{id}", func(r *publisher.Request) error {
		if err := e.add(r, r.PathValue("id")); err != nil {
			return err
		}
		if kill {
			server.Kill(t)
		}
		return nil
	})
	s := publishertest.New(t, g)
	kill = true
	if got := s.Request("POST", "/killed", "", ""); got.Status != 503 {
		t.Errorf("%d %v", got.Status, got.Err)
	}
	kill = false
	if got := s.Request("POST", "/away", "", ""); got.Status != 503 {
		t.Errorf("%d %v", got.Status, got.Err)
	}
	server.Restart(t)
	if got := s.Request("POST", "/back", "", ""); got.Status != 204 {
		t.Errorf("%d %v", got.Status, got.Err)
	}
	e.both(t, s, "back", "back")
}
