package crash_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	amqp "github.com/rabbitmq/amqp091-go"
	_ "modernc.org/sqlite"

	"zamqp/publisher/outbox"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/postgres"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// program is crashd, built once, with its crash points.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "crashd-")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "crashd")
	if text, err := exec.Command("go", "build", "-tags", "loopdebug", "-o", out, "./crashd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return out, nil
})

// A rig is a database, a broker, servers, and what was said to those who use them.
type rig struct {
	*testing.T
	program, driver, dsn, broker, queue string
	db                                  *sql.DB
	ch                                  *amqp.Channel // for looking
	servers                             []*server
	deaths                              map[string]int
	quiet                               context.CancelFunc // ends the work
	working                             sync.WaitGroup

	mu     sync.Mutex
	urls   []string        // of servers that run
	orders map[string]bool // that the server has answered for
	sent   map[string]bool // messages; true if they were confirmed
}

// A server is a process that ends at its mark.
type server struct {
	*process.Process
	url, mark string
	log       *logs.Buffer
}

var rigs atomic.Int32

func newRig(t *testing.T, database, broker string) *rig {
	t.Helper()
	r := &rig{T: t, driver: "sqlite", queue: fmt.Sprintf("crash-%d-%d", os.Getpid(), rigs.Add(1)), deaths: map[string]int{}, orders: map[string]bool{}, sent: map[string]bool{}}
	var err error
	if r.program, err = program(); err != nil {
		t.Fatal(err)
	}
	if broker == "rabbitmq" {
		r.broker = rabbitmq.Start(t)
	} else {
		r.broker = embedded.Start(t)
	}
	if database == "sqlite" {
		r.dsn = "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "books.db")) + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	} else {
		r.driver, r.dsn = "pgx", r.schema()
	}
	if r.db, err = sql.Open(r.driver, r.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	dialect, err := outbox.DialectOf(t.Context(), r.db)
	if err == nil {
		_, err = outbox.Init(t.Context(), r.db, dialect)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.exec("CREATE TABLE orders (id TEXT PRIMARY KEY)")
	r.exec("CREATE TABLE effects (id TEXT NOT NULL)") // may have an id twice
	return r
}

func (r *rig) schema() (dsn string) {
	r.Helper()
	u, err := url.Parse(postgres.Start(r))
	if err != nil {
		r.Fatal(err)
	}
	db, err := sql.Open("pgx", u.String())
	if err == nil {
		_, err = db.Exec(`CREATE SCHEMA "` + r.queue + `"`)
	}
	if err != nil {
		r.Fatal(err)
	}
	_ = db.Close()
	q := u.Query()
	q.Set("search_path", `"`+r.queue+`"`)
	u.RawQuery = q.Encode()
	return u.String()
}

func (r *rig) exec(statement string) {
	r.Helper()
	if _, err := r.db.Exec(statement); err != nil {
		r.Fatal(err)
	}
}

// start starts a server that ends at the mark, and waits until it is ready or has ended.
func (r *rig) start(mark string) {
	r.Helper()
	s := &server{url: "http://" + process.FreeAddress(r), mark: mark, log: &logs.Buffer{}}
	cmd := exec.Command(r.program, "serve", "-o", "http.listen="+s.url[len("http://"):], "-o", "server.data_dir="+r.TempDir(),
		"-o", "connection.default.url="+r.broker, "-o", "connection.default.outbox=sql", "-o", "connection.direct.url="+r.broker)
	cmd.Env = process.Environment("CRASH_AT="+mark, "BOOKS_DRIVER="+r.driver, "BOOKS_DSN="+r.dsn, "BOOKS_QUEUE="+r.queue)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.log, s.log, process.WithParent()
	var err error
	if s.Process, err = process.Start(cmd); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		s.Kill()
		if r.Failed() {
			r.Logf("%s: %s", s.mark, s.log.Ends(3000))
		}
	})
	r.servers = append(r.servers, s)
	wait.Until(r, "a ready server", func() bool {
		answer, err := http.Get(s.url + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
		}
		return !s.Running() || err == nil && answer.StatusCode == http.StatusOK
	})
	r.list()
}

// list notes which servers run.
func (r *rig) list() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.urls = nil
	for _, s := range r.servers {
		if s.Running() {
			r.urls = append(r.urls, s.url)
		}
	}
}

// awaitDeath waits until a server has ended at its mark.
func (r *rig) awaitDeath() {
	r.Helper()
	dead := -1
	if !wait.For(func() bool {
		for n, s := range r.servers {
			if !s.Running() {
				dead = n
			}
		}
		return dead >= 0
	}) {
		r.Fatalf("no server has ended: %s", r.servers[0].mark)
	}
	s := r.servers[dead]
	if status := s.State().String(); status != "signal: killed" {
		r.Fatalf("the server has ended by itself: %s", status)
	}
	r.deaths[s.mark]++
	r.servers = append(r.servers[:dead], r.servers[dead+1:]...)
	r.list()
}

// work orders, publishes through the server, and publishes beside it, until rest.
func (r *rig) work() {
	ctx, quiet := context.WithCancel(r.Context())
	r.quiet = quiet
	for n := range 3 {
		r.working.Go(func() { r.put(ctx, "orders", fmt.Sprintf("o%d", n), r.orders) })
	}
	r.working.Go(func() { r.put(ctx, "direct", "d", r.sent) })
	r.working.Go(func() { r.publish(ctx) })
}

// put makes requests, each one until it is answered.
func (r *rig) put(ctx context.Context, path, name string, told map[string]bool) {
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		r.mu.Lock()
		told[id] = false
		r.mu.Unlock()
		for tries := 0; ctx.Err() == nil; tries++ {
			time.Sleep(5 * time.Millisecond) // the effects come at another pace than the orders
			r.mu.Lock()
			where := ""
			if len(r.urls) > 0 {
				where = r.urls[(n+tries)%len(r.urls)]
			}
			r.mu.Unlock()
			q, _ := http.NewRequestWithContext(ctx, http.MethodPut, where+"/"+path+"/"+id, nil)
			if answer, err := http.DefaultClient.Do(q); err == nil {
				_ = answer.Body.Close()
				if answer.StatusCode < 300 {
					r.mu.Lock()
					told[id] = true
					r.mu.Unlock()
					break
				}
			}
		}
	}
}

// publish publishes as another program does, with confirms. Each message is sent twice.
func (r *rig) publish(ctx context.Context) {
	c, err := amqp.Dial(r.broker)
	if err != nil {
		r.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	ch, err := c.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	for n := 0; ctx.Err() == nil && err == nil; n++ {
		id := fmt.Sprintf("x-%d", n)
		r.mu.Lock()
		r.sent[id] = false
		r.mu.Unlock()
		for range 2 {
			var confirm *amqp.DeferredConfirmation
			confirm, err = ch.PublishWithDeferredConfirmWithContext(ctx, "", r.queue, false, false,
				amqp.Publishing{MessageId: id, DeliveryMode: amqp.Persistent, Body: []byte(id)})
			if err == nil && confirm.Wait() {
				r.mu.Lock()
				r.sent[id] = true
				r.mu.Unlock()
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil && ctx.Err() == nil {
		r.Error(err)
	}
}

// rest ends the work, and lets servers that are not killed do what is left. Only when none runs is it
// known what that is: a call that runs may write another row.
func (r *rig) rest() {
	r.Helper()
	r.quiet()
	r.working.Wait()
	for _, s := range r.servers {
		s.Kill()
	}
	for first := true; first || r.left() > 0; first = false {
		r.servers = nil
		r.start("")
		if !wait.For(func() bool { return r.left() == 0 }) {
			r.Fatalf("%d rows and messages are left", r.left())
		}
		if err := r.servers[0].Stop(); err != nil {
			r.Fatalf("the last server: %v", err)
		}
	}
}

// left counts the rows of the outbox, and the messages in the queue that no server has.
func (r *rig) left() int { return r.number("SELECT count(*) FROM zamqp_outbox") + r.depth() }
