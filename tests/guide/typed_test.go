package guide_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"

	"zamqp/publisher"
	"zamqp/publisher/document"
	"zamqp/publisher/publishertest"
)

var skus = regexp.MustCompile(`^[A-Z]{3}-\d+$`)

func init() {
	publisher.Validator().RegisterValidation("sku", func(f validator.FieldLevel) bool { return skus.MatchString(f.Field().String()) })
	publisher.Produce("shop-orders", publisher.Producer{Queue: "shop-orders"})
}

type NewOrder struct {
	Shop  string `path:"shop"`
	Dry   bool   `query:"dry"`
	Item  string `json:"item" validate:"required"`
	Count int    `json:"count" validate:"min=1,max=100" default:"1"`
}

type Receipt struct {
	ID string `json:"id"`
}

func init() {
	publisher.Handle("POST /shops/{shop}/orders", publisher.JSON(takeOrder, publisher.DefaultStatus(201)))
}

func takeOrder(r *publisher.Request, in NewOrder) (Receipt, error) {
	id := in.Shop + "-" + in.Item
	if !in.Dry {
		if err := r.Publish("shop-orders", in, publisher.MessageID(id)); err != nil {
			return Receipt{}, err
		}
	}
	return Receipt{ID: id}, nil
}

type Sales struct{ Sold int }

func salesOf(r *publisher.Request) error { return r.Reply(200, Sales{Sold: 1}) }

func init() {
	publisher.DescribeAll(publisher.Info{Title: "Shop", Version: "1.4"})

	publisher.Handle("GET /reports/{year}", salesOf, publisher.Describe(publisher.Doc{
		Summary: "The sales of a year", Tags: []string{"reports"}, ID: "getReport", Answer: Sales{},
	}))
	publisher.Produce("sales", publisher.Producer{Exchange: "sales", Doc: publisher.Doc{Summary: "What was sold", Body: NewOrder{}}})
}

func TestTyped(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	for _, row := range []struct {
		target, body string
		status       int
		want         string
	}{
		{"/shops/a/orders", `{"item": "book"}`, 201, `{"id":"a-book"}`},
		{"/shops/a/orders?dry=perhaps", `{"item": "", "count": 1000}`, 422, `{"type":"about:blank","title":"The input is invalid","status":422,"instance":"/shops/a/orders",` +
			`"errors":[{"path":"query.dry","detail":"is neither true nor false"},{"path":"/item","detail":"is a required field"},{"path":"/count","detail":"must be 100 or less"}]}` + "\n"},
	} {
		if got := s.Request("POST", row.target, "application/json", row.body); got.Status != row.status || string(got.Body) != row.want {
			t.Errorf("%s: %d %s", row.target, got.Status, got.Body)
		}
	}
	if sent := s.Published(); len(sent) != 1 || string(sent[0].Body) != `{"Shop":"a","Dry":false,"item":"book","count":1}` {
		t.Errorf("%+v", sent)
	}
	document, err := document.OpenAPI(document.Of(publisher.Default))
	if err != nil || !strings.Contains(string(document), `"operationId": "getReport"`) {
		t.Errorf("%v: %s", err, document)
	}
}
