package sql_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/outbox"
	"zamqp/publisher/publishertest"
	"zamqp/tests/kit/wait"
)

// withTables makes zamqp's tables.
func (e *engine) withTables(t *testing.T) outbox.Dialect {
	t.Helper()
	d, err := outbox.DialectOf(t.Context(), e.DB)
	if err == nil {
		_, err = outbox.Init(t.Context(), e.DB, d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// inboxed returns a registry whose consumer "work" has an inbox.
func (e *engine) inboxed(h publisher.Handler) *publisher.Registry {
	g := registry()
	g.Database("shop", func() (*sql.DB, error) { return e.DB, nil })
	g.Consume("work", publisher.Consumer{Dedupe: publisher.Dedupe{Key: "message_id", Database: "shop"}}, h)
	return g
}

func message(id string) publisher.Publishing {
	return publisher.Publishing{MessageId: id, Body: []byte(id)}
}

// TestInbox: a message whose id has been handled is acked, and has no second effect; a failed
// call leaves no id; a message without an id is handled each time.
func TestInbox(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.withTables(t)
		fails, runs := true, 0
		g := e.inboxed(func(r *publisher.Request) error {
			runs++
			if err := e.add(r, fmt.Sprint(r.Header("Message-Id"), runs)); err != nil {
				return err
			}
			if fails {
				return errors.New("no")
			}
			return nil
		})
		s := publishertest.New(t, g)
		deliver := func(id string, want publisher.Settlement, duplicate bool) {
			t.Helper()
			p := message(id)
			p.ReplyTo = "caller"
			got := s.Deliver("work", p)
			if got.Settlement != want || got.Duplicate != duplicate || (got.Reply != nil) != (want == publisher.SettleAck && !duplicate) {
				t.Errorf("%q: %+v", id, got)
			}
		}
		deliver("a", publisher.SettleRetry, false)
		fails = false
		deliver("a", publisher.SettleAck, false)
		deliver("a", publisher.SettleAck, true)
		deliver("b", publisher.SettleAck, false)
		deliver("", publisher.SettleAck, false)
		deliver("", publisher.SettleAck, false)
		e.both(t, s, "4 5 a2 b3", "a2 b3 4 5")
		if runs != 5 {
			t.Errorf("%d runs", runs)
		}
	})
}

// TestInboxWithoutSQL: the id is kept although the handler never uses the database, also by
// routes, mounted handlers and error handlers.
func TestInboxWithoutSQL(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.withTables(t)
		g := e.inboxed(func(r *publisher.Request) error { return r.Publish("orders", "plain") })
		with := publisher.Dedupe{Key: "message_id", Database: "shop"}
		g.Handle("POST /route", func(r *publisher.Request) error { return r.Publish("orders", "routed") })
		g.Handle("POST /mounted", publisher.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			_ = publisher.FromContext(req.Context()).Publish("orders", "mounted")
		})))
		g.Consume("routed", publisher.Consumer{Route: "POST /route", Dedupe: with}, nil)
		g.Consume("mounted", publisher.Consumer{Route: "POST /mounted", Dedupe: with}, nil)
		g.Consume("failing", publisher.Consumer{Dedupe: with}, func(*publisher.Request) error { return errors.New("no") })
		g.OnError("", func(r *publisher.Request, err error) error { return r.Publish("orders", "handled") })
		s := publishertest.New(t, g)
		for _, consumer := range []string{"work", "routed", "mounted", "failing"} {
			for n := range 3 {
				got := s.Deliver(consumer, message("a"))
				if got.Settlement != publisher.SettleAck || got.Duplicate != (n > 0) {
					t.Errorf("%s, %d: %+v", consumer, n, got)
				}
			}
		}
		e.both(t, s, "", "plain routed mounted handled")
	})
}

// TestInboxOfTwoProcesses: while one process handles a message, another gets the same one. One of
// them has an effect, and both are acked.
func TestInboxOfTwoProcesses(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		e.withTables(t)
		for _, isolation := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelSerializable} {
			id := fmt.Sprint("m", int(isolation))
			var other *publishertest.Server
			handler := func(who string, before func()) publisher.Handler {
				return func(r *publisher.Request) error {
					before()
					if err := e.insert(r, who+id, publisher.SQLIsolation(isolation)); err != nil {
						return errors.New("it is overlooked that the message has been handled")
					}
					return r.Publish("orders", who)
				}
			}
			nested := 0
			first := publishertest.New(t, e.inboxed(handler("first", func() {
				if nested++; nested == 1 {
					if got := other.Deliver("work", message(id)); got.Settlement != publisher.SettleAck || got.Duplicate {
						t.Errorf("%+v", got)
					}
				}
			})))
			other = publishertest.New(t, e.inboxed(handler("other", func() {})))
			if got := first.Deliver("work", message(id)); got.Settlement != publisher.SettleAck || !got.Duplicate {
				t.Errorf("%+v", got)
			}
			if got := bodies(first.Published()) + bodies(other.Published()); got != "other" {
				t.Errorf("published %q", got)
			}
		}
		if got := e.ids(t); got != "otherm0 otherm6" {
			t.Errorf("orders %q", got)
		}
	})
}

// TestInboxWaits: PostgreSQL lets the second process wait for the first one's transaction. If
// that is rolled back, the message is handled.
func TestInboxWaits(t *testing.T) {
	e := onPostgres(t)
	e.withTables(t)
	s := publishertest.New(t, e.inboxed(func(r *publisher.Request) error { return e.add(r, string(r.Body())) }))
	for _, id := range []string{"commit", "rollback"} {
		first, err := e.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Exec("INSERT INTO zamqp_inbox VALUES ('work', $1, 0)", hashed(id)); err != nil {
			t.Fatal(err)
		}
		go func() {
			wait.Until(t, "the second waits", func() bool {
				n := 0
				_ = e.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO zamqp_inbox%'").Scan(&n)
				return n > 0
			})
			if id == "commit" {
				_ = first.Commit()
			} else {
				_ = first.Rollback()
			}
		}()
		if got := s.Deliver("work", message(id)); got.Settlement != publisher.SettleAck || got.Duplicate != (id == "commit") {
			t.Errorf("%s: %+v", id, got)
		}
	}
	e.both(t, s, "rollback", "rollback")
}

// hashed is an id as it is in the table.
func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// TestForget: old ids are deleted, those of one consumer, and not more than asked for.
func TestForget(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		d := e.withTables(t)
		ctx, now := context.Background(), time.Now()
		for n := range 30 {
			for _, consumer := range []string{"a", "b"} {
				if added, err := outbox.Add(ctx, e.DB, consumer, fmt.Sprint(n), now.Add(-time.Duration(n)*time.Hour)); !added || err != nil {
					t.Fatal(added, err)
				}
			}
		}
		before := now.Add(-10*time.Hour + time.Minute) // 20 of each
		for _, want := range []int{15, 5, 0} {
			if n, err := outbox.Forget(ctx, e.DB, d, "a", before, 15); n != want || err != nil {
				t.Errorf("%d deleted, want %d: %v", n, want, err)
			}
		}
		var a, b int
		if err := e.QueryRow("SELECT count(*) FILTER (WHERE consumer = 'a'), count(*) FILTER (WHERE consumer = 'b') FROM zamqp_inbox").Scan(&a, &b); err != nil || a != 10 || b != 30 {
			t.Errorf("%d and %d: %v", a, b, err)
		}
	})
}

// TestInboxAway: without its tables, and without its database, a message is tried again, and the
// error names both.
func TestInboxAway(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		s := publishertest.New(t, e.inboxed(func(r *publisher.Request) error { return nil }))
		if got := s.Deliver("work", message("a")); got.Settlement != publisher.SettleRetry || !contains(got.Err, "database shop: inbox:") || !contains(got.Err, "zamqp_inbox") {
			t.Errorf("%+v", got)
		}
	})
}
