// Package inbox_test runs whole servers whose consumer keeps its ids in a database.
package inbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	_ "modernc.org/sqlite"

	_ "zamqp/handlers/health"
	_ "zamqp/handlers/metrics"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/publisher/outbox"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/wait"
)

var db *sql.DB

func init() {
	publisher.Database("shop", func() (*sql.DB, error) { return db, nil })
	publisher.Produce("work", publisher.Producer{Queue: "work", Codec: "text"})
	publisher.Handle("POST /send/{id}", func(r *publisher.Request) error {
		return r.Publish("work", "", publisher.MessageID(r.PathValue("id")))
	})
	publisher.Consume("work", publisher.Consumer{}, func(r *publisher.Request) error {
		tx, err := r.SQL(db)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(), "INSERT INTO effects VALUES (?)", string(r.MessageID()))
		return err
	})
}

// serve runs a server with an embedded broker until stop is called.
func serve(t *testing.T, dir string) (log *logs.Buffer, end chan error, stop func()) {
	t.Helper()
	settings, err := config.Load(config.Sources{Options: []string{"http.listen=127.0.0.1:0", "broker.listen=127.0.0.1:0", "server.data_dir=",
		"broker.data_dir=" + dir, "consumer.work.dedupe.key=message_id", "consumer.work.dedupe.database=shop", "consumer.work.dedupe.keep=1h"}}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	log = &logs.Buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	end = make(chan error, 1)
	go func() { end <- app.Serve(ctx, settings, zerolog.New(log)) }()
	return log, end, cancel
}

func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, _ := http.NewRequest(method, url, nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// TestInbox: of many messages with the same ids, over two servers with one database, each has one
// effect. Old ids are deleted. Without the tables the server does not start, and says what to do.
func TestInbox(t *testing.T) {
	dir := t.TempDir()
	var err error
	if db, err = sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(dir, "shop.db"))+"?_txlock=immediate&_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)"); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, end, stop := serve(t, filepath.Join(dir, "broker"))
	err = <-end
	stop()
	if err == nil || !strings.Contains(err.Error(), "zamqp sql init") || !strings.Contains(err.Error(), "shop") {
		t.Errorf("without the tables: %v", err)
	}
	if _, err = outbox.Init(t.Context(), db, outbox.SQLite); err == nil {
		_, err = db.Exec("CREATE TABLE effects (id TEXT)")
	}
	if err == nil {
		_, err = outbox.Add(t.Context(), db, "work", "old", time.Now().Add(-2*time.Hour))
	}
	if err != nil {
		t.Fatal(err)
	}
	const messages, copies = 20, 5
	for run := range 2 {
		log, end, stop := serve(t, filepath.Join(dir, "broker"))
		url := log.Await(t, "serving http").Address
		wait.Until(t, "the server is ready", func() bool { status, _ := get(t, "GET", url+"/readyz"); return status == 200 })
		for n := range messages * copies {
			if status, body := get(t, "POST", fmt.Sprint(url, "/send/", n%messages)); status != 204 {
				t.Fatal(status, body)
			}
		}
		want := (copies - 1 + run) * messages
		wait.Until(t, "the duplicates are acked", func() bool {
			_, page := get(t, "GET", url+"/metrics")
			return strings.Contains(page, fmt.Sprintf("zamqp_consumer_duplicates_total{connection=\"default\",consumer=\"work\"} %d\n", want))
		})
		var all, different, old int
		if err := db.QueryRow("SELECT count(*), count(DISTINCT id) FROM effects").Scan(&all, &different); err != nil || all != messages || different != messages {
			t.Errorf("%d effects of %d ids: %v", all, different, err)
		}
		wait.Until(t, "the old id is deleted", func() bool {
			return db.QueryRow("SELECT count(*) FROM zamqp_inbox WHERE id = 'old'").Scan(&old) == nil && old == 0
		})
		stop()
		if err := <-end; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.Ends(4 << 10))
		}
	}
}
