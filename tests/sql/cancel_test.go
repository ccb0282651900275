package sql_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Handle("POST /slow/{id}", slow)
	publisher.Handle("POST /timed/{id}", slow, publisher.RouteTimeout(500*time.Millisecond))
	publisher.Handle("POST /mounted/{id}", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := slow(publisher.FromContext(req.Context())); err != nil {
			http.Error(w, "no", 500)
		}
	})))
	publisher.Handle("POST /stray/{id}", publisher.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		begun := make(chan bool)
		r := publisher.FromContext(req.Context())
		go func() {
			tx, _ := r.SQL(database.DB)
			_, _ = tx.ExecContext(context.Background(), "INSERT INTO orders (id) VALUES ('stray')")
			close(begun)
			_, _ = tx.ExecContext(context.Background(), slowStatement[database.driver])
		}()
		<-begun
	})))
}

// slowStatement takes longer than a test.
var slowStatement = map[string]string{
	"pgx":    "SELECT pg_sleep(600)",
	"sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 100000000000) SELECT count(*) FROM c",
}

// slow writes a row, publishes, and then waits for the database.
func slow(r *publisher.Request) error {
	tx, err := r.SQL(database.DB)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(r.Context(), "INSERT INTO orders (id) VALUES ($1)", r.PathValue("id")); err != nil {
		return err
	}
	if err := r.Publish("orders", ""); err != nil {
		return err
	}
	_, err = tx.ExecContext(context.Background(), slowStatement[database.driver])
	return err
}

func eachServer(t *testing.T, test func(t *testing.T, url string)) {
	for _, driver := range []string{"sqlite", "pgx"} {
		t.Run(driver, func(t *testing.T) {
			database.driver, database.dsn = driver, "file:"+filepath.ToSlash(filepath.Join(t.TempDir(), "orders.db"))+patient
			if driver == "pgx" {
				database.dsn = newSchema(t)
			}
			test(t, serve(t))
		})
	}
}

// TestCancelledCalls: a client that goes, a limit of time, and a goroutine that outlives its
// handler: the statement ends, the transaction is rolled back, and the connection is free.
func TestCancelledCalls(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		for _, path := range []string{"/slow/a", "/mounted/b"} {
			ctx, gone := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, "POST", url+path, nil)
			go func() {
				resp, err := http.DefaultClient.Do(req)
				if err == nil {
					_ = resp.Body.Close()
				}
			}()
			wait.Until(t, "the statement runs", func() bool { return database.Stats().InUse == 1 })
			gone()
			wait.Until(t, "the connection is free", func() bool { return database.Stats().InUse == 0 })
		}
		for path, status := range map[string]int{"/timed/c": 503, "/stray/d": 500} {
			if got, err := post(http.DefaultClient, url+path); got != status || err != nil {
				t.Errorf("%s: %d %v", path, got, err)
			}
		}
		wait.Until(t, "all connections are free", func() bool { return database.Stats().InUse == 0 })
		resp, err := http.Get(url + "/count")
		if err != nil {
			t.Fatal(err)
		}
		if got := read(resp); got != "0 rows, 0 messages" {
			t.Error(got)
		}
	})
}

// TestDrain: a drain that runs out of time ends the statement. The server ends, and the row is
// not there.
func TestDrain(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		for n := range 20 {
			go func() { _, _ = post(http.DefaultClient, url+fmt.Sprint("/slow/", n)) }()
		}
		wait.Until(t, "the statements run", func() bool { return database.Stats().InUse > 0 })
	})
}
