package outbox_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher/outbox"
	"zamqp/tests/kit/process"
)

// TestLateCommit: a transaction commits rows with lower ids than rows that were sent long ago. They
// are neither lost, nor do they hold anything up before.
func TestLateCommit(t *testing.T) {
	for _, broker := range []string{"embedded", "rabbitmq"} {
		t.Run(broker, func(t *testing.T) {
			r := newRig(t, "postgres", broker)
			r.serve()
			late, err := r.db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			r.insert(late, 0, "k.late")
			r.put(1, 20, five)
			r.await("the others are sent", func() bool { return len(r.copies()) == 19 && r.rows() == 0 })
			if err := late.Commit(); err != nil {
				t.Fatal(err)
			}
			r.await("it is sent", func() bool { return r.all(20) })
		})
	}
}

// TestRefused: what the broker refuses is kept aside with the reason, and holds up nothing else.
// zamqp sql lists it, sends it again and drops it.
func TestRefused(t *testing.T) {
	each(t, func(r *rig) {
		rows := []outbox.Row{r.row(0, "nobody"), r.row(1, "k.1"), r.row(2, "k.2"), r.row(3, "k.3")}
		rows[2].Exchange = []byte("outbox-missing-" + r.site) // the broker closes the channel
		if err := outbox.Insert(background, r.db, r.dialect, rows); err != nil {
			r.Fatal(err)
		}
		s := r.serve()
		r.await("the others are sent", func() bool { return len(r.copies()) == 2 && r.waiting() == 0 })
		list := r.command("sql", "list", "--aside")
		for _, want := range []string{"NO_ROUTE", "NOT_FOUND", "m0", "m2", "0 messages to send, 2 aside"} {
			if !strings.Contains(list, want) {
				r.Errorf("zamqp sql list does not show %q:\n%s", want, list)
			}
		}
		r.await("the metrics count them", func() bool {
			return strings.Contains(s.get(r, "/metrics"), `zamqp_outbox_refused_total{connection="default",database="shop"} 2`)
		})
		if _, ok := s.log.Find("the broker refuses messages of the outbox: they are kept aside in the table; zamqp sql list shows them, retry sends them again, drop deletes them"); !ok {
			r.Error("the log does not tell")
		}
		if out := r.command("sql", "drop", "--message-id", "m2"); out != "1 message dropped\n" {
			r.Errorf("drop: %q", out)
		}
		r.queue("nobody-"+r.site, "nobody", nil)
		defer r.channel.QueueDelete("nobody-"+r.site, false, false, false)
		if out := r.command("sql", "retry", "--reason", "NO_ROUTE"); out != "1 message will be sent again\n" {
			r.Errorf("retry: %q", out)
		}
		r.await("it is sent", func() bool { return r.rows() == 0 })
		if d, ok, err := r.channel.Get("nobody-"+r.site, true); err != nil || !ok || d.MessageId != "m0" {
			r.Errorf("got %v %v %v", d.MessageId, ok, err)
		}
	})
}

// command runs a command of zamqp on the rig's database.
func (r *rig) command(args ...string) string {
	r.Helper()
	cmd := process.Self(append(args, "--driver", r.driver, "--dsn", r.dsn)...)
	cmd.Dir = r.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		r.Fatalf("%v: %v: %s", args, err, errs.String())
	}
	return out.String()
}

// TestNacked: a full queue refuses messages for now. They are sent when it has room. Other keys do
// not wait.
func TestNacked(t *testing.T) {
	each(t, func(r *rig) {
		full := "full-" + r.site
		r.queue(full, "full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
		defer r.channel.QueueDelete(full, false, false, false)
		s := r.serve()
		r.put(0, 10, func(int) string { return "full" })
		r.put(10, 20, five)
		r.await("the others are sent", func() bool { return len(r.copies()) == 10 })
		seen := map[string]int{}
		r.await("all are sent", func() bool {
			d, ok, err := r.channel.Get(full, true)
			if err != nil {
				r.Fatal(err)
			}
			if ok {
				seen[d.MessageId]++
			}
			return r.rows() == 0 && !ok
		})
		for n := range 10 {
			if seen["m"+strconv.Itoa(n)] == 0 {
				r.Errorf("m%d has not come: %v", n, seen)
			}
		}
		if m := s.get(r, "/metrics"); !strings.Contains(m, `zamqp_outbox_refused_total{connection="default",database="shop"} 0`) {
			r.Error("a message was given up")
		}
	})
}

// TestExact: what is written arrives as it was, whatever octets it has.
func TestExact(t *testing.T) {
	each(t, func(r *rig) {
		odd := r.row(0, "k.\xff\x00\x80")
		odd.Body = []byte{0, 255, '\'', 0}
		large := r.row(1, "k.large")
		large.Body = bytes.Repeat([]byte{0, 1, 2, 3}, 1<<20)
		empty := r.row(2, "k.empty")
		empty.Body = nil
		unknown := r.row(3, "k.unknown")
		unknown.Producer = "of another version"
		want := []outbox.Row{odd, large, empty, unknown}
		if err := outbox.Insert(background, r.db, r.dialect, want); err != nil {
			r.Fatal(err)
		}
		r.serve()
		r.await("all are sent", func() bool { return r.all(4) })
		for i, d := range r.received {
			if d.RoutingKey != string(want[i].RoutingKey) || !bytes.Equal(d.Body, want[i].Body) || d.DeliveryMode != 2 {
				r.Errorf("got %q, %d octets; want %q, %d", d.RoutingKey, len(d.Body), want[i].RoutingKey, len(want[i].Body))
			}
		}
	})
}

// TestExpired: the expiration of a message counts from its commit. What is too old is not sent.
func TestExpired(t *testing.T) {
	r := newRig(t, "sqlite", "embedded")
	old, young := r.row(0, "k.old"), r.row(1, "k.young")
	expiring := func(row *outbox.Row, ms string) {
		id := row.Properties[3:]
		row.Properties = append([]byte{0x11, 0x80, 2, byte(len(ms))}, ms...)
		row.Properties = append(row.Properties, id...)
	}
	expiring(&old, "1000")
	expiring(&young, "100000000")
	old.Created = old.Created.Add(-2e9)
	young.Created = young.Created.Add(-2e9)
	if err := outbox.Insert(background, r.db, r.dialect, []outbox.Row{old, young}); err != nil {
		t.Fatal(err)
	}
	r.serve()
	r.await("the young one is sent", func() bool { return len(r.copies()) == 1 && r.rows() == 0 })
	d := r.received[0]
	if ms, _ := strconv.Atoi(d.Expiration); d.MessageId != "m1" || ms > 100000000-2000 || ms < 90000000 {
		t.Errorf("%s with expiration %s", d.MessageId, d.Expiration)
	}
}

// TestMany: very many rows wait. The server reads a part of them at a time.
func TestMany(t *testing.T) {
	many := 100_000
	if n, err := strconv.Atoi(os.Getenv("OUTBOX_MANY")); err == nil {
		many = n
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			r := newRig(t, database, "rabbitmq")
			numbers := fmt.Sprintf("generate_series(0, %d)", many-1)
			body := "CAST(n::text AS BYTEA)"
			if database == "sqlite" {
				numbers = fmt.Sprintf("(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s) AS s", many-1)
				body = "CAST(n AS BLOB)"
			} else {
				numbers += " AS s(n)"
			}
			statement := "INSERT INTO zamqp_outbox (connection, producer, exchange, routing_key, mandatory, properties, body, created_ms) SELECT 'default', 'orders', $1, $2, 1, $3, " +
				body + ", 0 FROM " + numbers + " ORDER BY s.n"
			if _, err := r.db.Exec(statement, []byte(r.exchange()), []byte("k.many"), []byte{0x10, 0, 2}); err != nil {
				t.Fatal(err)
			}
			s := r.serve()
			r.await("all are sent", func() bool { return r.rows() == 0 })
			r.await("all have come", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.received) >= many })
			for n, d := range r.received {
				if string(d.Body) != strconv.Itoa(n) {
					t.Fatalf("message %d is %q", n, d.Body)
				}
			}
			if peak := s.peak(t); peak > 200<<20 {
				t.Errorf("the server took %d MiB", peak>>20)
			} else {
				t.Logf("the server took %d MiB", peak>>20)
			}
		})
	}
}

// TestMissingTables: a server whose database lacks the tables does not start, and says what to do.
func TestMissingTables(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			r := newRig(t, database, "embedded")
			for _, table := range []string{"zamqp_schema", "zamqp_outbox", "zamqp_outbox_lease", "zamqp_inbox"} {
				r.exec("DROP TABLE " + table)
			}
			s := r.start()
			if err := s.Wait(); err == nil || !strings.Contains(s.log.String(), "zamqp sql init") {
				t.Errorf("%v: %s", err, s.log)
			}
			if out := r.command("sql", "init"); !strings.HasPrefix(out, "made the tables") {
				t.Error(out)
			}
			if out := r.command("sql", "init"); !strings.HasPrefix(out, "the tables of zamqp were there") {
				t.Error(out)
			}
			r.serve()
			r.put(0, 5, five)
			r.await("all are sent", func() bool { return r.all(5) })
		})
	}
}

// TestInitAtOnce: many processes make the tables at the same time.
func TestInitAtOnce(t *testing.T) {
	db, err := sql.Open("pgx", schema(t, "at_once"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ended := make(chan error)
	for range 10 {
		go func() {
			_, err := outbox.Init(background, db, outbox.PostgreSQL)
			ended <- err
		}()
	}
	for range 10 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestDrain: a server that stops waits for what it has sent, and gives the lease back.
func TestDrain(t *testing.T) {
	each(t, func(r *rig) {
		s := r.serve()
		r.put(0, 300, five)
		r.await("it has begun", func() bool { return len(r.copies()) > 0 })
		if err := s.Stop(); err != nil {
			r.Fatalf("%v: %s", err, s.log)
		}
		if n := r.number("SELECT max(until_ms) FROM zamqp_outbox_lease"); n != 0 {
			r.Errorf("the lease goes on until %d", n)
		}
		r.serve()
		r.await("all are sent", func() bool { return r.all(300) })
		for id, n := range r.copies() {
			if n > 1 {
				r.Errorf("%s came %d times", id, n)
			}
		}
	})
}

// TestDatabaseIsAway: PostgreSQL is killed. The server says that it is not ready, and goes on when the
// database is back. It also starts without the database.
func TestDatabaseIsAway(t *testing.T) {
	r := newRig(t, "own postgres", "embedded")
	s := r.serve()
	r.put(0, 20, five)
	r.await("all are sent", func() bool { return r.all(20) })
	r.postgres.Kill(t)
	r.await("the server is not ready", func() bool { return s.do("GET", "/readyz") == 503 })
	if page := s.get(t, "/readyz"); !strings.Contains(page, `"kind":"outbox","name":"shop/default","ready":false`) {
		t.Error(page)
	}
	second := r.serve()
	r.postgres.Restart(t)
	r.db.SetMaxIdleConns(0) // the test's own connections are dead, too
	r.put(20, 40, five)
	r.await("all are sent", func() bool { return r.all(40) })
	for _, s := range []*server{s, second} {
		r.await("the server is ready", func() bool { return s.do("GET", "/readyz") == 200 })
	}
}
