package guide_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// The services that the page calls.
var (
	stockURL string
	bank     theBank
)

type theBank struct{}

func (theBank) Limit(string) (int, error) { return 100, nil }

// Inquiry and Stock are what the page sends and gets.
type (
	Inquiry struct {
		Customer string
		Article  string
	}
	Stock struct{ Left int }
)

func init() {
	publisher.Handle("GET /stock/{article}", show, publisher.RouteTimeout(2*time.Second))
	publisher.Handle("GET /price/{article}", price)
	publisher.Pool("bank", 64)
	publisher.Handle("POST /offers", offer)
	publisher.Produce("prices", publisher.Producer{Queue: "prices"})
}

func show(r *publisher.Request) error {
	resp, err := r.Client(publisher.Retries(2)).Get(stockURL + "/" + r.PathValue("article"))
	if err != nil {
		return err // 503: the log names the host
	}
	defer resp.Body.Close()
	var stock Stock
	if err := json.NewDecoder(resp.Body).Decode(&stock); err != nil {
		return fmt.Errorf("the stock's answer: %w", err)
	}
	return r.Reply(200, stock)
}

func price(r *publisher.Request) error {
	answer, err := r.Call("prices", r.PathValue("article"), publisher.Timeout(5*time.Second))
	if err != nil {
		return err
	}
	var cents int
	if err := answer.Decode(&cents); err != nil {
		return err
	}
	return r.Reply(200, cents)
}

func offer(r *publisher.Request) error {
	var order Inquiry
	if err := r.Decode(&order); err != nil {
		return err
	}
	var stock Stock
	var cents, limit int
	r.Go(func() error {
		resp, err := r.Client().Get(stockURL + "/" + order.Article)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return json.NewDecoder(resp.Body).Decode(&stock)
	})
	r.Go(func() error {
		answer, err := r.Call("prices", order.Article)
		if err != nil {
			return err
		}
		return answer.Decode(&cents)
	})
	r.Go(func() error {
		return r.OffloadTo("bank", func() (err error) { limit, err = bank.Limit(order.Customer); return err })
	})
	if err := r.Wait(); err != nil { // the first error; the others have been told
		return err
	}
	return r.Reply(200, stock.Left > 0 && cents <= limit)
}

func TestCallingOthers(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"Left": 3}`) }))
	defer backend.Close()
	stockURL = backend.URL
	s := publishertest.New(t, publisher.Default)
	s.Answer(func(publishertest.Published) (*publisher.Answer, error) {
		return &publisher.Answer{Status: 200, ContentType: "application/json", Body: []byte("42")}, nil
	})
	for _, row := range [][4]string{
		{"GET", "/stock/shoe", "", `{"Left":3}`}, {"GET", "/price/shoe", "", "42"}, {"POST", "/offers", `{"Customer": "7", "Article": "shoe"}`, "true"},
	} {
		if got := s.Request(row[0], row[1], "application/json", row[2]); got.Status != 200 || got.Body != row[3] {
			t.Errorf("%s: %+v", row[1], got)
		}
	}
}
