package shop

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/outbox"
	"zamqp/publisher/publishertest"
)

// basicAnn and basicBob are the credentials of two customers.
const (
	basicAnn = "Authorization: Basic YW5uOmFwcGxl"
	basicBob = "Authorization: Basic Ym9iOmJhbmFuYQ=="
)

// newShop is the shop in memory, with a database of its own and with this bank.
func newShop(t *testing.T, bank http.HandlerFunc) *publishertest.Server {
	t.Helper()
	there := httptest.NewServer(bank)
	t.Cleanup(there.Close)
	settings.Bank = there.URL
	settings.Database = filepath.Join(t.TempDir(), "shop.db")
	settings.Customers = map[string]*customer{"ann": {Password: "apple"}, "bob": {Password: "banana"}}
	if err := openDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Init(t.Context(), database, outbox.SQLite); err != nil {
		t.Fatal(err)
	}
	if err := closeDatabase(context.Background()); err != nil {
		t.Fatal(err)
	}
	return publishertest.New(t, publisher.Default)
}

func bankThatPays(w http.ResponseWriter, q *http.Request) {
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"charge": "charge-` + q.Header.Get("Idempotency-Key")[:4] + `"}`))
}

// made posts an order and returns it.
func made(t *testing.T, s *publishertest.Server, body string, fields ...string) order {
	t.Helper()
	got := s.Request("POST", "/shop/orders", "application/json", body, fields...)
	var o order
	if err := json.Unmarshal([]byte(got.Body), &o); got.Status != 201 || err != nil {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return o
}

func TestAnOrderIsPaid(t *testing.T) {
	s := newShop(t, bankThatPays)
	page := s.Events("/shop/events", basicAnn)
	o := made(t, s, `{"item": "book", "quantity": 2}`, basicAnn)
	sent := s.Published()
	if len(sent) != 2 || sent[0].RoutingKey != "order.created" {
		t.Fatalf("published: %+v", sent)
	}
	if got := s.Deliver("shop-payments", sent[0].Publishing); got.Settlement != publisher.SettleAck {
		t.Fatalf("%+v", got)
	}
	var after order
	got := s.Request("GET", "/shop/orders/"+o.ID, "", "", basicAnn)
	if err := json.Unmarshal([]byte(got.Body), &after); err != nil || after.State != "paid" || after.Charge == "" {
		t.Errorf("%d %s: %v", got.Status, got.Body, err)
	}
	for _, p := range append(sent, s.Published()...) { // what the broker would bring back to the pages
		if p.Exchange == "zamqp-shop.events" {
			s.Deliver("topic-shop", p.Publishing)
		}
	}
	for _, state := range []string{"new", "paid"} {
		if event := page.Next(); event.Name != "order" || !strings.Contains(event.Data.(string), `"state":"`+state+`"`) {
			t.Errorf("%s: %+v", state, event)
		}
	}
}

func TestABankThatIsBusyIsAskedAgain(t *testing.T) {
	busy := true
	s := newShop(t, func(w http.ResponseWriter, q *http.Request) {
		if busy {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		bankThatPays(w, q)
	})
	made(t, s, `{"item": "book"}`, basicAnn)
	message := s.Published()[0].Publishing
	if got := s.Deliver("shop-payments", message); got.Settlement == publisher.SettleAck || len(s.Published()) > 0 {
		t.Errorf("paid without the bank: %+v", got)
	}
	busy = false
	if got := s.Deliver("shop-payments", message); got.Settlement != publisher.SettleAck {
		t.Errorf("%+v", got)
	}
}

func TestACopyOfAMessageHasNoEffect(t *testing.T) {
	asked := 0
	s := newShop(t, func(w http.ResponseWriter, q *http.Request) { asked++; bankThatPays(w, q) })
	made(t, s, `{"item": "book"}`, basicAnn)
	message := s.Published()[0].Publishing
	s.Deliver("shop-payments", message)
	s.Published()
	if got := s.Deliver("shop-payments", message); got.Settlement != publisher.SettleAck || len(s.Published()) > 0 {
		t.Errorf("the copy: %+v", got)
	}
	if asked != 1 {
		t.Errorf("the bank was asked %d times", asked)
	}
}

func TestADeclinedOrder(t *testing.T) {
	s := newShop(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPaymentRequired) })
	o := made(t, s, `{"item": "yacht"}`, basicAnn)
	s.Deliver("shop-payments", s.Published()[0].Publishing)
	if got := s.Request("GET", "/shop/orders/"+o.ID, "", "", basicAnn); !strings.Contains(got.Body, `"declined"`) {
		t.Errorf("%s", got.Body)
	}
}

func TestARequestThatComesAgain(t *testing.T) {
	s := newShop(t, bankThatPays)
	first := made(t, s, `{"item": "book"}`, basicAnn, "Idempotency-Key: one")
	s.Published()
	again := made(t, s, `{"item": "book"}`, basicAnn, "Idempotency-Key: one")
	if again != first || len(s.Published()) > 0 {
		t.Errorf("%+v after %+v", again, first)
	}
	if bobs := made(t, s, `{"item": "book"}`, basicBob, "Idempotency-Key: one"); bobs.ID == first.ID {
		t.Errorf("bob got the order of ann")
	}
}

func TestWhatCustomersAreTold(t *testing.T) {
	s := newShop(t, bankThatPays)
	o := made(t, s, `{"item": "book"}`, basicAnn)
	for _, c := range []struct {
		name, method, target, body string
		fields                     []string
		status                     int
		text                       string
	}{
		{"no password", "GET", "/shop/", "", nil, 401, ""},
		{"wrong password", "GET", "/shop/", "", []string{"Authorization: Basic YW5uOm5v"}, 401, ""},
		{"page", "GET", "/shop/", "", []string{basicAnn}, 200, "EventSource"},
		{"own order", "GET", "/shop/orders/" + o.ID, "", []string{basicAnn}, 200, "book"},
		{"order of another customer", "GET", "/shop/orders/" + o.ID, "", []string{basicBob}, 404, "no order"},
		{"list", "GET", "/shop/orders", "", []string{basicBob}, 200, "[]"},
		{"two mistakes", "POST", "/shop/orders", `{"quantity": 0}`, []string{basicAnn}, 422, "quantity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.Request(c.method, c.target, "application/json", c.body, c.fields...)
			if got.Status != c.status || !strings.Contains(got.Body, c.text) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}

func TestTotals(t *testing.T) {
	s := newShop(t, bankThatPays)
	made(t, s, `{"item": "book"}`, basicAnn)
	made(t, s, `{"item": "pen"}`, basicBob)
	s.Published()
	s.Advance(5 * time.Second)
	sent := s.Published()
	if len(sent) == 0 || string(sent[0].Body) != `{"new":2}` {
		t.Errorf("%+v", sent)
	}
}
