package shop

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// TestKilledShop kills the whole server, broker and all, again and again, while customers order.
// Each order that a customer was told of is there, was paid once, and every receiver has heard
// of it.
func TestKilledShop(t *testing.T) {
	kills := 5
	if testing.Short() {
		kills = 2
	}
	k := newKilled(t)
	k.start()
	ctx, cancel := context.WithCancel(t.Context())
	var customers sync.WaitGroup
	for n := range 4 {
		customers.Go(func() { k.order(ctx, n) })
	}
	for range kills {
		k.waitForOrders(10)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // anywhere in the work
		k.server.Kill()
		k.start()
	}
	k.waitForOrders(10)
	cancel()
	customers.Wait()
	k.settled()
	t.Logf("%d kills, %d orders, the bank was asked %d times", kills, len(k.told), k.bank.asked)
}

// killed is a shop that is killed, with everything outside of it that remembers.
type killed struct {
	t       *testing.T
	dir     string
	program string
	address string // HTTP
	broker  string // AMQP
	server  *process.Process
	bank    *flakyBank

	mu   sync.Mutex
	told map[string]string // orders that a customer was told of, with their Idempotency-Key
}

// flakyBank fails every third time, and charges each key once.
type flakyBank struct {
	mu      sync.Mutex
	asked   int
	charged map[string]int
}

func (b *flakyBank) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.asked%3 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	key := q.Header.Get("Idempotency-Key")
	if b.charged[key] == 0 {
		b.charged[key] = len(b.charged) + 1
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"charge": "charge-%d"}`, b.charged[key])
}

func newKilled(t *testing.T) *killed {
	k := &killed{t: t, dir: t.TempDir(), address: process.FreeAddress(t), broker: process.FreeAddress(t), told: map[string]string{}}
	k.program = filepath.Join(k.dir, "shopd")
	run(t, exec.Command("go", "build", "-o", k.program, "./shopd"))
	k.bank = &flakyBank{charged: map[string]int{}}
	bank := httptest.NewServer(k.bank)
	t.Cleanup(bank.Close)
	config := fmt.Sprintf(`
[server]
data_dir = %[1]q
[http]
listen = %[2]q
[broker]
listen = %[3]q
data_dir = %[4]q
[connection.default]
url = "embedded"
outbox = "sql"
[app.shop]
database = %[5]q
bank = %[6]q
customers = {ann = {password = "apple"}, bob = {password = "banana"}}
`, k.dir+"/data", k.address, k.broker, k.dir+"/broker", k.dir+"/shop.db", bank.URL)
	if err := os.WriteFile(k.dir+"/config.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command(k.program, "sql", "init", "--dsn", k.dir+"/shop.db"))
	t.Cleanup(func() { k.server.Kill() })
	return k
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Env = process.Environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// start starts the server and waits until it is ready. Another program is told about what
// happens to orders.
func (k *killed) start() {
	k.t.Helper()
	log, err := os.OpenFile(k.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(k.program, "serve", "--config", k.dir+"/config.toml")
	cmd.Env, cmd.Stderr, cmd.Stdout, cmd.SysProcAttr = process.Environment(), log, log, process.WithParent()
	if k.server, err = process.Start(cmd); err != nil {
		k.t.Fatal(err)
	}
	wait.Until(k.t, "a ready server", func() bool {
		if !k.server.Running() {
			text, _ := os.ReadFile(k.dir + "/log")
			k.t.Fatalf("the server has ended: %v\n%s", k.server.Err(), tail(text))
		}
		answer, err := http.Get("http://" + k.address + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil && answer.StatusCode == 200
	})
	k.declare()
}

func tail(text []byte) []byte { return text[max(0, len(text)-4000):] }

// declare makes a queue of another program's, for all that happens to orders.
func (k *killed) declare() {
	k.t.Helper()
	c := k.dial()
	defer func() { _ = c.Close() }()
	ch, err := c.Channel()
	if err == nil {
		_, err = ch.QueueDeclare("heard", true, false, false, false, nil)
	}
	if err == nil {
		err = ch.QueueBind("heard", "order.*", exchange, false, nil)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *killed) dial() *amqp.Connection {
	k.t.Helper()
	c, err := amqp.Dial("amqp://guest:guest@" + k.broker + "/")
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// order orders for a customer until the context ends. A request without an answer is sent
// again, as clients do.
func (k *killed) order(ctx context.Context, customer int) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%d-%d", customer, n)
		for ctx.Err() == nil {
			id := k.post(ctx, customer, key)
			if id != "" {
				k.mu.Lock()
				k.told[id] = key
				k.mu.Unlock()
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// post sends one order, and returns its id if the server says that it has it.
func (k *killed) post(ctx context.Context, customer int, key string) string {
	q, _ := http.NewRequestWithContext(ctx, "POST", "http://"+k.address+"/shop/orders", strings.NewReader(`{"item": "book"}`))
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Idempotency-Key", key)
	if customer%2 == 0 {
		q.SetBasicAuth("ann", "apple")
	} else {
		q.SetBasicAuth("bob", "banana")
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	var o order
	if err != nil || answer.StatusCode != 201 || json.Unmarshal(text, &o) != nil {
		return ""
	}
	return o.ID
}

// waitForOrders waits until customers were told of that many more orders.
func (k *killed) waitForOrders(more int) {
	k.t.Helper()
	count := func() int { k.mu.Lock(); defer k.mu.Unlock(); return len(k.told) }
	from := count()
	wait.Until(k.t, "orders", func() bool { return count() >= from+more })
}

// settled waits until everything is paid and heard of, and compares the books.
func (k *killed) settled() {
	t := k.t
	db, err := sql.Open("sqlite", "file:"+k.dir+"/shop.db?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	wait.Until(t, "all orders to be paid and the outbox to be empty", func() bool {
		return number(t, db, `SELECT (SELECT count(*) FROM orders WHERE state = 'new') + (SELECT count(*) FROM zamqp_outbox)`) == 0
	})
	if twice := number(t, db, `SELECT count(*) - count(DISTINCT charge) FROM orders`); twice != 0 {
		t.Errorf("%d orders share a charge", twice)
	}
	orders := number(t, db, `SELECT count(*) FROM orders`)
	k.bank.mu.Lock()
	if len(k.bank.charged) != orders {
		t.Errorf("the bank has charged %d of %d orders", len(k.bank.charged), orders)
	}
	k.bank.mu.Unlock()
	heard := k.heard(2 * orders)
	for id, key := range k.told {
		if n := number(t, db, `SELECT count(*) FROM orders WHERE id = ? AND request = ? AND state = 'paid'`, id, key); n != 1 {
			t.Errorf("order %s, request %s: %d paid rows", id, key, n)
		}
		for _, what := range []string{"order.created/", "order.paid/"} {
			if heard[what+id] == 0 {
				t.Errorf("nobody has heard of %s%s", what, id)
			}
		}
	}
}

func number(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// heard reads the messages of the other program until it has seen so many different ones. Copies are
// allowed: they have the same message id.
func (k *killed) heard(different int) map[string]int {
	c := k.dial()
	defer func() { _ = c.Close() }()
	ch, err := c.Channel()
	if err != nil {
		k.t.Fatal(err)
	}
	messages, err := ch.Consume("heard", "", true, false, false, false, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	seen := map[string]int{}
	late := time.After(wait.Patience)
	for len(seen) < different {
		select {
		case m := <-messages:
			seen[m.MessageId]++
		case <-late:
			k.t.Errorf("heard of %d events, not of %d", len(seen), different)
			return seen
		}
	}
	return seen
}
