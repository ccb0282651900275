package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// do sends a request and returns the status, or 0 if there was no answer.
func (s *server) do(method, path string) int {
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		panic(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func (r *rig) orders() int { return r.number("SELECT count(*) FROM orders") }

// TestBrokerIsDown: without a broker, calls that have joined SQL are answered. Their messages are sent
// when it is there. Other publishes of the connection fail.
func TestBrokerIsDown(t *testing.T) {
	each(t, func(r *rig) {
		r.wire.set(true, false)
		s := r.serve("connection.default.confirm_timeout=2s")
		for n := range 10 {
			path := fmt.Sprintf("/orders/m%d?key=k.1", n)
			if n%2 == 1 {
				path = fmt.Sprintf("/http/m%d", n)
			}
			if got := s.do("PUT", path); got != 202 {
				r.Fatalf("%s: %d", path, got)
			}
		}
		if got := s.do("PUT", "/orders/m99?key=k.1&fail=1"); got != 500 {
			r.Errorf("a call that fails: %d", got)
		}
		if got := s.do("POST", "/alone"); got != 503 {
			r.Errorf("a call without SQL: %d", got)
		}
		if got := s.do("POST", "/foreign"); got != 500 {
			r.Errorf("a call with a database that the server does not know: %d", got)
		}
		r.await("the log tells the remedy", func() bool { return strings.Contains(s.log.String(), "register it by publisher.Database") })
		if got := s.do("GET", "/readyz"); got != 200 {
			r.Errorf("not ready: %d: %s", got, s.get(r, "/readyz"))
		}
		if rows, orders := r.rows(), r.orders(); rows != 10 || orders != 10 {
			r.Errorf("%d rows, %d orders", rows, orders)
		}
		r.wire.set(false, false)
		r.await("all are sent", func() bool { return r.all(10) })
		if n := len(r.copies()); n != 10 {
			r.Errorf("%d messages", n)
		}
		r.await("the log says that the outbox is sent again", func() bool { return strings.Contains(s.log.String(), "the outbox is sent again") })
	})
}

// TestProperties: a message that went through the table has what the handler has given it.
func TestProperties(t *testing.T) {
	each(t, func(r *rig) {
		s := r.serve()
		if got := s.do("POST", "/rich"); got != 204 {
			r.Fatal(got, s.log)
		}
		r.await("it comes", func() bool { return len(r.copies()) == 1 && r.rows() == 0 })
		d := r.received[0]
		want := amqp.Table{"text": "t\x00\xff", "number": int64(-5), "octets": []byte{0, 200}, "time": time.Unix(1e9, 0), "table": amqp.Table{"inner": true}}
		for k, v := range want {
			if fmt.Sprint(d.Headers[k]) != fmt.Sprint(v) {
				r.Errorf("header %s: %v, want %v", k, d.Headers[k], v)
			}
		}
		got := fmt.Sprint(d.ContentType, d.ContentEncoding, d.CorrelationId, d.ReplyTo, d.Priority, d.Timestamp.Unix(), d.Type, d.AppId, d.DeliveryMode, d.Body)
		if got != fmt.Sprint("application/x-odd", "odd", "c", "q", 7, int64(1e9), "y", "a", 2, []byte{0, 255, 1}) {
			r.Error(got)
		}
		if ms, _ := strconv.Atoi(d.Expiration); ms <= 0 || ms > 3600_000 || len(d.MessageId) != 32 {
			r.Errorf("expiration %s, message id %q", d.Expiration, d.MessageId)
		}
	})
}

// TestKillUnderLoad: clients place orders while two servers are killed again and again and the wire
// to the broker is cut. At the end each order that is in the database has its message, no message is without
// its order, and the orders of each key came in their order.
func TestKillUnderLoad(t *testing.T) {
	each(t, func(r *rig) {
		const clients, rounds = 4, 8
		var mu sync.Mutex
		servers := []*server{r.serve(), r.serve()}
		pick := func() *server {
			mu.Lock()
			defer mu.Unlock()
			return servers[rand.IntN(len(servers))]
		}
		stop := make(chan struct{})
		var next [clients]int
		var ended sync.WaitGroup
		for c := range clients {
			ended.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					// The same order until the server has it.
					id := next[c]*clients + c
					if got := pick().do("PUT", fmt.Sprintf("/orders/m%d?key=k.%d", id, c)); got == 202 || got == 409 && r.placed(id) {
						next[c]++
					}
				}
			})
		}
		for round := range rounds {
			count := r.orders()
			r.await("orders are placed", func() bool { return r.orders() > count+20 })
			mu.Lock()
			victim := servers[round%2]
			mu.Unlock()
			if round%3 == 2 {
				r.wire.set(true, false)
				r.wire.set(false, false)
			}
			victim.Kill()
			fresh := r.serve()
			mu.Lock()
			servers[round%2] = fresh
			mu.Unlock()
		}
		close(stop)
		ended.Wait()
		r.await("all are sent", func() bool { return r.rows() == 0 })
		r.await("all have come", func() bool { return len(r.copies()) >= r.orders() })
		seen, twice := r.copies(), 0
		for id, n := range seen {
			if twice += n - 1; !r.placed(number(id)) {
				r.Errorf("%s has no order", id)
			}
		}
		if len(seen) != r.orders() {
			r.Errorf("%d messages, %d orders", len(seen), r.orders())
		}
		if slices.Max(next[:]) == 0 {
			r.Error("no order was placed")
		}
		r.Logf("%d orders, %d copies", len(seen), twice)
	})
}

func number(id string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "m"))
	return n
}

// placed reports whether an order is in the database.
func (r *rig) placed(n int) bool {
	return r.number(fmt.Sprintf("SELECT count(*) FROM orders WHERE id = 'm%d'", n)) == 1
}

// TestOrderOfCalls: many clients place orders at the same time, each the next one when the last one
// is answered. Their transactions do not commit in the order of the ids of their rows. The messages of
// each client come in its order all the same.
func TestOrderOfCalls(t *testing.T) {
	each(t, func(r *rig) {
		const clients, orders = 16, 100
		s := r.serve()
		var ended sync.WaitGroup
		for c := range clients {
			ended.Go(func() {
				for n := range orders {
					path := fmt.Sprintf("/orders/m%d?key=k.%d", n*clients+c, c)
					for got := 0; got != 202; {
						if got = s.do("PUT", path); got != 202 && got != 409 {
							r.Errorf("%s: %d", path, got)
							return
						}
					}
				}
			})
		}
		ended.Wait()
		r.await("all are sent", func() bool { return r.all(clients * orders) })
		if n := len(r.received); n != clients*orders {
			r.Errorf("%d messages", n)
		}
	})
}
