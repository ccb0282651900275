package orders_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/handlers/orders"
	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func TestAnOrderIsPublishedThenBilled(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	got := s.Request("POST", "/orders", "application/json", `{"item":"book","quantity":2}`)
	var receipt orders.Receipt
	if err := json.Unmarshal([]byte(got.Body), &receipt); err != nil || got.Status != 202 || len(receipt.ID) != 32 {
		t.Fatalf("%+v, %v", got, err)
	}
	sent := s.Published()
	if len(sent) != 1 || sent[0].Exchange != "zamqp-demo.orders" || sent[0].RoutingKey != "zamqp-demo.order.created" || !sent[0].Mandatory ||
		sent[0].MessageId != receipt.ID {
		t.Fatalf("%+v", sent)
	}
	if got := s.Request("GET", "/orders/"+receipt.ID, "", ""); got.Status != 404 {
		t.Errorf("before it is billed: %+v", got)
	}
	for n := 1; n <= 2; n++ {
		if got := s.Deliver("billing", sent[0].Publishing); got.Settlement != publisher.SettleAck {
			t.Fatalf("%+v", got)
		}
		want := fmt.Sprintf(`{"id":%q,"seen":%d}`, receipt.ID, n)
		if got := s.Request("GET", "/orders/"+receipt.ID, "", ""); got.Status != 200 || got.Body != want {
			t.Errorf("%+v", got)
		}
	}
}

func TestBadOrders(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	for _, row := range []struct {
		contentType, body string
		status            int
	}{{"application/json", "{", 400}, {"text/html", "{}", 415}, {"", "{}", 415},
		{"application/json", `{"id":"` + strings.Repeat("x", 256) + `"}`, 400}} {
		if got := s.Request("POST", "/orders", row.contentType, row.body); got.Status != row.status {
			t.Errorf("%+v: %+v", row, got)
		}
	}
	if got := s.Deliver("billing", publisher.Publishing{ContentType: "application/json", Body: []byte("{")}); got.Settlement != publisher.SettleDeadLetter {
		t.Errorf("%+v", got)
	}
	s.Confirm(errors.New("312 NO_ROUTE"))
	if got := s.Request("POST", "/orders", "application/json", "{}"); got.Status != 503 {
		t.Errorf("%+v", got)
	}
}

func TestTheOldestOrdersAreForgotten(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	for i := range 100_001 {
		s.Deliver("billing", publisher.Publishing{ContentType: "application/json", Body: fmt.Appendf(nil, `{"id":"forget-%d"}`, i)})
	}
	if got := s.Request("GET", "/orders/forget-0", "", ""); got.Status != 404 {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/orders/forget-100000", "", ""); got.Status != 200 {
		t.Errorf("%+v", got)
	}
}
