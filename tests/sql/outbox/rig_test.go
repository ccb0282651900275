// Package outbox_test runs servers with an outbox, as processes of their own that are killed and
// frozen, on real databases and brokers.
package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher/app"
	"zamqp/publisher/outbox"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/postgres"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

func TestMain(m *testing.M) { process.Main(m, app.Main) }

var background = context.Background()

// A rig is a database, a broker behind a wire, and the servers of one test. All names in the broker
// have the site's id.
type rig struct {
	*testing.T
	db      *sql.DB
	dialect outbox.Dialect
	driver  string
	dsn     string
	broker  string // its URL, without the wire
	wire    *wire
	site    string
	// postgres is a server of this test's own; nil if it is shared.
	postgres *postgres.Server
	channel  *amqp.Channel // without the wire

	mu       sync.Mutex
	received []amqp.Delivery
}

var sites atomic.Int32

// each runs a test with each database and each broker.
func each(t *testing.T, test func(r *rig)) {
	for _, database := range []string{"sqlite", "postgres"} {
		for _, broker := range []string{"embedded", "rabbitmq"} {
			t.Run(database+"/"+broker, func(t *testing.T) { test(newRig(t, database, broker)) })
		}
	}
}

func newRig(t *testing.T, database, broker string) *rig {
	t.Helper()
	r := &rig{T: t, site: fmt.Sprintf("s%d-%d", os.Getpid(), sites.Add(1))}
	if broker == "rabbitmq" {
		r.broker = rabbitmq.Start(t)
	} else {
		r.broker = embedded.Start(t)
	}
	if r.driver = "sqlite"; database == "sqlite" {
		r.dsn = "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "test.db")) + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	} else {
		r.driver = "pgx"
		if database == "postgres" {
			r.dsn = schema(t, r.site)
		} else { // one of its own
			r.postgres = postgres.New(t)
			r.dsn = r.postgres.URL
		}
	}
	r.db = r.open()
	var err error
	if r.dialect, err = outbox.DialectOf(background, r.db); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Init(background, r.db, r.dialect); err != nil {
		t.Fatal(err)
	}
	r.exec("CREATE TABLE orders (id TEXT PRIMARY KEY)")
	r.wire = newWire(t, r.broker)
	r.declare()
	return r
}

// schema makes a schema of PostgreSQL for one test.
func schema(t *testing.T, name string) (dsn string) {
	t.Helper()
	dsn = postgres.Start(t)
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec(`CREATE SCHEMA "` + name + `"`); err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(dsn)
	q := u.Query()
	q.Set("search_path", `"`+name+`"`)
	u.RawQuery = q.Encode()
	return u.String()
}

func (r *rig) open() *sql.DB {
	r.Helper()
	db, err := sql.Open(r.driver, r.dsn)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = db.Close() })
	return db
}

func (r *rig) exec(statement string) {
	r.Helper()
	if _, err := r.db.Exec(statement); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) number(query string) (n int) {
	r.Helper()
	if err := r.db.QueryRow(query).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *rig) rows() int { return r.number("SELECT count(*) FROM zamqp_outbox") }

// waiting counts the rows that are not aside.
func (r *rig) waiting() int {
	return r.number("SELECT count(*) FROM zamqp_outbox WHERE reason IS NULL")
}

func (r *rig) exchange() string { return "outbox-" + r.site }

// declare makes the exchange, and a queue that gets all messages whose keys begin with "k.".
func (r *rig) declare() {
	r.Helper()
	c, err := amqp.Dial(r.broker)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = c.Close() })
	if r.channel, err = c.Channel(); err != nil {
		r.Fatal(err)
	}
	if err := r.channel.ExchangeDeclare(r.exchange(), "topic", true, false, false, false, nil); err != nil {
		r.Fatal(err)
	}
	r.queue("all-"+r.site, "k.#", nil)
	r.Cleanup(func() {
		_, _ = r.channel.QueueDelete("all-"+r.site, false, false, false)
		_ = r.channel.ExchangeDelete(r.exchange(), false, false)
	})
	in, err := r.channel.Consume("all-"+r.site, "", true, false, false, false, nil)
	if err != nil {
		r.Fatal(err)
	}
	go func() {
		for d := range in {
			r.mu.Lock()
			r.received = append(r.received, d)
			r.mu.Unlock()
		}
	}()
}

func (r *rig) queue(name, key string, args amqp.Table) {
	r.Helper()
	if _, err := r.channel.QueueDeclare(name, true, false, false, false, args); err != nil {
		r.Fatal(err)
	}
	if err := r.channel.QueueBind(name, key, r.exchange(), false, nil); err != nil {
		r.Fatal(err)
	}
}

// copies returns how often each message id has come, and checks the order of each key: the first
// copies have growing numbers, which are the bodies.
func (r *rig) copies() map[string]int {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, last := map[string]int{}, map[string]int{}
	for _, d := range r.received {
		if seen[d.MessageId]++; seen[d.MessageId] > 1 {
			continue
		}
		n, err := strconv.Atoi(string(d.Body))
		if err != nil {
			continue
		}
		if before, some := last[d.RoutingKey]; some && n < before {
			r.Errorf("key %s: %d came after %d", d.RoutingKey, n, before)
		}
		last[d.RoutingKey] = n
	}
	return seen
}

// put inserts rows as another process would: each in a transaction of its own.
func (r *rig) put(from, to int, key func(n int) string) {
	r.Helper()
	for n := from; n < to; n++ {
		r.insert(r.db, n, key(n))
	}
}

func (r *rig) insert(q outbox.Queryer, n int, key string) {
	r.Helper()
	if err := outbox.Insert(background, q, r.dialect, []outbox.Row{r.row(n, key)}); err != nil {
		r.Fatal(err)
	}
}

// row has the message id mN and the body N.
func (r *rig) row(n int, key string) outbox.Row {
	id := "m" + strconv.Itoa(n)
	properties := append([]byte{0x10, 0x80, 2, byte(len(id))}, id...) // delivery_mode 2, message_id
	return outbox.Row{Connection: "default", Producer: "orders", Exchange: []byte(r.exchange()), RoutingKey: []byte(key), Mandatory: true,
		Properties: properties, Body: []byte(strconv.Itoa(n)), Created: time.Now()}
}

// five gives keys k.0 to k.4.
func five(n int) string { return "k." + strconv.Itoa(n%5) }

// all reports whether every message from 0 to n has come and the table has no row that waits.
func (r *rig) all(n int) bool {
	seen := r.copies()
	for i := range n {
		if seen["m"+strconv.Itoa(i)] == 0 {
			return false
		}
	}
	return r.waiting() == 0
}

func (r *rig) await(what string, ok func() bool) {
	r.Helper()
	if !wait.For(ok) {
		r.Fatalf("not within %s: %s; %d rows, %d messages have come", wait.Patience, what, r.rows(), len(r.copies()))
	}
}

// A server is a process with the handlers of this package.
type server struct {
	*process.Process
	url string
	log *logs.Buffer
}

// serve starts a server and waits until it is live.
func (r *rig) serve(options ...string) *server {
	r.Helper()
	s := r.start(options...)
	r.await("the server listens", func() bool {
		select {
		case <-s.Ended():
			r.Fatalf("the server has ended: %s", s.log)
		default:
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

func (r *rig) start(options ...string) *server {
	r.Helper()
	address := process.FreeAddress(r)
	args := []string{"serve", "-o", "http.listen=" + address, "-o", "connection.default.url=" + r.wire.url, "-o", "connection.default.outbox=sql",
		"-o", "site.id=" + r.site, "-o", "connection.default.backoff_max=1s", "-o", "log.format=json"}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	cmd := process.Self(args...)
	cmd.Dir = r.TempDir()
	cmd.Env = append(cmd.Env, "OUTBOX_DRIVER="+r.driver, "OUTBOX_DSN="+r.dsn)
	s := &server{url: "http://" + address, log: &logs.Buffer{}}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = process.WithParent()
	p, err := process.Start(cmd)
	if err != nil {
		r.Fatal(err)
	}
	s.Process = p
	r.Cleanup(func() {
		p.Kill()
		if r.Failed() {
			r.Logf("%s: %s", s.url, s.log.Ends(4000))
		}
	})
	return s
}

func (s *server) get(t testing.TB, path string) string {
	t.Helper()
	answer, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// peak is the most memory that the process has used, in octets.
func (s *server) peak(t testing.TB) (octets int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscanf(rest, "%d", &octets)
	return octets << 10
}
