package sql_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Pool("few", 4)
	publisher.Produce("orders", publisher.Producer{Queue: "orders", Codec: "text"})
	publisher.Handle("POST /hand/{pool}/{id}", byHand)
	publisher.Handle("POST /sql/{pool}/{id}", bySQL)
	publisher.Handle("GET /count", count)
}

// byHand writes a row and publishes a message, both or neither, with a participant of its own.
func byHand(r *publisher.Request) error {
	id := r.PathValue("id")
	t, err := begin(r, r.PathValue("pool"))
	if err != nil {
		return err
	}
	if err := t.insert(r, id); err != nil {
		return err
	}
	return finish(r, id)
}

// bySQL does the same by r.SQL. All transactions want the lock of one row.
func bySQL(r *publisher.Request) error {
	id := r.PathValue("id")
	tx, err := r.SQL(database.DB, publisher.SQLPool(r.PathValue("pool")))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(r.Context(), "UPDATE counter SET n = n + 1"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(r.Context(), "INSERT INTO orders (id) VALUES ($1)", id); err != nil {
		return err
	}
	return finish(r, id)
}

func finish(r *publisher.Request, id string) error {
	_ = r.Publish("orders", id)
	if strings.HasPrefix(id, "refused") {
		return publisher.Errorf(http.StatusUnprocessableEntity, "refused")
	}
	return r.Text(http.StatusAccepted, id)
}

// count says how many rows and messages there are.
func count(r *publisher.Request) error {
	var rows int
	if err := r.Offload(func() error { return database.QueryRow("SELECT count(*) FROM orders").Scan(&rows) }); err != nil {
		return err
	}
	messages, err := r.Queue("orders").Len()
	if err != nil {
		return err
	}
	return r.Text(200, fmt.Sprintf("%d rows, %d messages", rows, messages))
}

// serve runs a server until the test ends, and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	settings, err := config.Load(config.Sources{Options: []string{"http.listen=127.0.0.1:0", "broker.listen=127.0.0.1:0", "server.data_dir=", "server.drain_timeout=1s"}}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	log := &logs.Buffer{}
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- app.Serve(ctx, settings, zerolog.New(log)) }()
	t.Cleanup(func() {
		stop()
		if err := <-end; err != nil && !(strings.HasPrefix(t.Name(), "TestDrain") && contains(err, "the drain was cut short")) {
			t.Errorf("the server ended with %v", err)
		}
		if n := database.opened.Load(); n != 0 {
			t.Errorf("%d transactions are open", n)
		}
		if n := database.Stats().InUse; n != 0 {
			t.Errorf("%d connections are in use", n)
		}
		if t.Failed() {
			t.Log(log.Ends(8 << 10))
		}
	})
	url := log.Await(t, "serving http").Address
	wait.Until(t, "the server is ready", func() bool {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 200
	})
	return url
}

const clients, each = 40, 10

// TestWritersOfOneLock: more clients write than a pool has workers, and than there are
// connections. All need one lock, and the holder needs the pool to release it. All requests are
// served, and there is a message for each row.
func TestWritersOfOneLock(t *testing.T) {
	for _, row := range []struct{ how, driver, pool string }{
		{"hand", "sqlite", publisher.DefaultPool},
		{"hand", "sqlite", "few"},
		{"sql", "sqlite", publisher.DefaultPool},
		{"sql", "sqlite", "few"},
		{"sql", "pgx", publisher.DefaultPool},
		{"sql", "pgx", "few"},
	} {
		t.Run(row.how+"/"+row.driver+"/"+row.pool, func(t *testing.T) {
			database.driver, database.dsn = row.driver, "file:"+filepath.ToSlash(filepath.Join(t.TempDir(), "orders.db"))+patient
			if row.driver == "pgx" {
				database.dsn = newSchema(t)
			}
			writeAll(t, serve(t), "/"+row.how+"/"+row.pool)
		})
	}
}

func writeAll(t *testing.T, url, path string) {
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			client := http.Client{Timeout: wait.Patience, Transport: &http.Transport{}}
			for n := range each {
				id := fmt.Sprintf("%d-%d", c, n)
				if n == each-1 && c%4 == 0 {
					id = fmt.Sprintf("refused-%d", c)
				}
				status, err := post(&client, url+path+"/"+id)
				if err != nil { // a hang, as a rule: the next one would only wait, too
					t.Error(err)
					return
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	const refused = clients / 4
	const done = clients*each - refused
	if len(statuses) != 2 || statuses[202] != done || statuses[422] != refused {
		t.Errorf("answers by status: %v, want %d × 202 and %d × 422", statuses, done, refused)
	}
	body := ""
	resp, err := http.Get(url + "/count")
	if err == nil {
		body = read(resp)
	}
	if want := fmt.Sprintf("%d rows, %d messages", done, done); body != want {
		t.Errorf("%s, want %s (%v)", body, want, err)
	}
}

func post(client *http.Client, url string) (int, error) {
	resp, err := client.Post(url, "text/plain", nil)
	if err != nil {
		return 0, err
	}
	if body := read(resp); body == "" {
		return resp.StatusCode, errors.New("an answer without a body")
	}
	return resp.StatusCode, nil
}

// read returns the body.
func read(resp *http.Response) string {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
