package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// shop posts orders to a server and keeps the ids that were answered with 202.
type shop struct {
	url    string
	client *http.Client
}

func newShop(url string, connections int) *shop {
	return &shop{url, &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
}

// post sends one order; an empty id lets the server choose. It returns the status
// (0 without an answer) and the id of the receipt.
func (s *shop) post(id string) (status int, receipt string, err error) {
	order := `{"item":"tea","quantity":2}`
	if id != "" {
		order = fmt.Sprintf(`{"id":%q,"item":"tea","quantity":2}`, id)
	}
	resp, err := s.client.Post(s.url+"/orders", "application/json", strings.NewReader(order))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", err
	}
	if resp.StatusCode != http.StatusAccepted {
		return resp.StatusCode, "", nil
	}
	var answer struct{ ID string }
	if err := json.Unmarshal(text, &answer); err != nil || answer.ID == "" {
		return 0, "", fmt.Errorf("the answer to an order is %q (%v), want {\"id\":…}", text, err)
	}
	if id != "" && answer.ID != id {
		return 0, "", fmt.Errorf("order %q was answered with the id %q", id, answer.ID)
	}
	return resp.StatusCode, answer.ID, nil
}

// seen asks how often the consumer has seen an order; 0 for never.
func (s *shop) seen(id string) (int, error) {
	resp, err := s.client.Get(s.url + "/orders/" + id)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		ID   string
		Seen int
	}
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return 0, err
	case resp.StatusCode == http.StatusNotFound:
		return 0, nil
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("GET /orders/%s: %d %s", id, resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.ID != id {
		return 0, fmt.Errorf("GET /orders/%s: %s (%v)", id, text, err)
	}
	return answer.Seen, nil
}

// orderMany posts count orders on as many connections as given, and returns the
// ids of their receipts. Every second order brings its own id.
func (s *shop) orderMany(count, connections int) ([]string, error) {
	ids := make([]string, count)
	errs := make(chan error, connections)
	run := time.Now().UnixNano()
	for c := range connections {
		go func() {
			for i := c; i < count; i += connections {
				own := ""
				if i%2 == 0 {
					own = fmt.Sprintf("own-%d-%d", run, i)
				}
				status, id, err := s.post(own)
				if err == nil && status != http.StatusAccepted {
					err = fmt.Errorf("order %d: status %d", i, status)
				}
				if err != nil {
					errs <- err
					return
				}
				ids[i] = id
			}
			errs <- nil
		}()
	}
	var first error
	for range connections {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return ids, first
}

// waitSeen wants the consumer to see each order, and none more than most times.
func (s *shop) waitSeen(t *testing.T, ids []string, most int) {
	t.Helper()
	until := time.Now().Add(patience)
	for _, id := range ids {
		for {
			n, err := s.seen(id)
			if err != nil {
				t.Fatal(err)
			}
			if n > most {
				t.Errorf("order %s was seen %d times", id, n)
			}
			if n > 0 {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("order %s was answered with 202 and not seen by the consumer within %v", id, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// audit is a queue beside the server's own that gets every order too.
type audit struct {
	conn *amqp.Connection
	mu   sync.Mutex
	ids  map[string]int
}

// newAudit declares the exchange as the server does, so that either may come
// first.
func newAudit(t *testing.T, url string) *audit {
	t.Helper()
	a := &audit{ids: map[string]int{}}
	var err error
	if a.conn, err = amqp.Dial(url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.conn.Close() })
	ch, err := a.conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclarePassive("zamqp-demo.orders", "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "zamqp-demo.order.created", "zamqp-demo.orders", false, nil); err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for d := range deliveries {
			var order struct{ ID string }
			_ = json.Unmarshal(d.Body, &order)
			a.mu.Lock()
			a.ids[order.ID]++
			a.mu.Unlock()
		}
	}()
	return a
}

// wait wants each of ids to have come exactly once.
func (a *audit) wait(t *testing.T, ids []string) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		missing := 0
		a.mu.Lock()
		for _, id := range ids {
			if n := a.ids[id]; n == 0 {
				missing++
			} else if n > 1 {
				t.Errorf("order %s was published %d times", id, n)
			}
		}
		a.mu.Unlock()
		if missing == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d of %d orders were answered with 202 but are not in a queue that gets all", missing, len(ids))
		}
	}
}

func (a *audit) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}
