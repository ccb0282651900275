package guide_test

import (
	"regexp"
	"testing"

	"github.com/go-playground/validator/v10"

	"zamqp/publisher"
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
}
