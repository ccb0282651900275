package document_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/document"
)

var update = flag.Bool("update", false, "write the golden documents anew")

type Paging struct {
	Limit int      `query:"limit" default:"20" validate:"min=1,max=100" json:"-"`
	Tags  []string `query:"tag" json:"-"`
}

type Item struct {
	SKU   string  `json:"sku" validate:"required,alphanum,max=12"`
	Count int32   `json:"count" validate:"min=1"`
	Price float64 `json:"price" validate:"gt=0"`
}

type Address struct {
	Street string `json:"street"`
	Zip    string `json:"zip,omitempty"`
}

type NewOrder struct {
	Paging
	Shop    string            `path:"shop" validate:"alphanum"`
	Tenant  string            `header:"X-Tenant" validate:"required" jsonschema_description:"Whose order it is."`
	Wait    time.Duration     `query:"wait" default:"1s"`
	Email   string            `json:"email" validate:"required,email"`
	Items   []Item            `json:"items" validate:"required,min=1,dive"`
	Labels  map[string]string `json:"labels,omitempty" validate:"max=3,dive,max=5"`
	Urgency string            `json:"urgency" default:"low" validate:"oneof=low high 'very high'"`
	To      *Address          `json:"to"`
	At      time.Time         `json:"at"`
	Parent  *Order            `json:"parent,omitempty"`
}

type Order struct {
	ID    string    `json:"id"`
	Items []Item    `json:"items"`
	Note  *string   `json:"note"`
	Raw   []byte    `json:"raw,omitempty"`
	At    time.Time `json:"at"`
	Any   any       `json:"any,omitempty"`
	Inner struct {
		N uint8 `json:"n"`
	} `json:"inner"`
}

type Page[T any] struct {
	Items []T `json:"items"`
	Next  string
}

func shop() *publisher.Registry {
	g := publisher.NewRegistry()
	type none struct{}
	type byID struct {
		ID int64 `path:"id" validate:"min=1"`
	}
	nothing := func(*publisher.Request) error { return nil }
	g.DescribeAll(publisher.Info{Title: "Shop", Version: "1.2.3"})
	g.Handle("POST /shops/{shop}/orders", publisher.JSON(func(*publisher.Request, NewOrder) (Order, error) { return Order{}, nil }, publisher.DefaultStatus(201)),
		publisher.Describe(publisher.Doc{Summary: "Take an order", Tags: []string{"orders"}, ID: "createOrder"}))
	g.Handle("GET /orders/{id}", publisher.JSON(func(*publisher.Request, byID) (Order, error) { return Order{}, nil }))
	g.Handle("DELETE /orders/{number}", publisher.JSON(func(*publisher.Request, none) (none, error) { return none{}, nil }))
	g.Handle("GET /orders", publisher.JSON(func(*publisher.Request, Paging) (Page[Order], error) { return Page[Order]{}, nil }))
	g.Handle("GET /files/{path...}", nothing, publisher.Describe(publisher.Doc{Summary: "A file"}))
	g.Handle("/static/", nothing)
	g.Handle("POST /plain", nothing, publisher.Describe(publisher.Doc{Body: Item{}, Answer: Address{}, Status: 202}))
	g.Handle("GET /hidden", nothing, publisher.Describe(publisher.Doc{Hidden: true}))
	g.Handle("PURGE /cache", nothing)
	g.Handle("GET admin.example.org/{$}", nothing)
	g.Use(publisher.Authenticate(publisher.Auth{Bearer: func(*publisher.Request, string) (string, error) { return "", nil }}), "POST /shops/")
	g.Produce("orders", publisher.Producer{Exchange: "orders", ExchangeType: "topic", Doc: publisher.Doc{Body: Order{}, Summary: "Orders that were taken"}})
	g.Produce("price", publisher.Producer{Queue: "price", Codec: "msgpack", Doc: publisher.Doc{Body: Item{}, Answer: 1.5}})
	g.Consume("billing", publisher.Consumer{Exchange: "orders", RoutingKeys: []string{"order.*"}},
		publisher.JSON(func(*publisher.Request, Order) (none, error) { return none{}, nil }))
	g.Consume("quote", publisher.Consumer{Doc: publisher.Doc{Summary: "What an item costs", Tags: []string{"prices"}}},
		publisher.JSON(func(*publisher.Request, struct {
			Tenant string `header:"X-Tenant" validate:"required"`
			Item
		}) (Page[int], error) {
			return Page[int]{}, nil
		}))
	g.Consume("plain", publisher.Consumer{}, nothing)
	g.Consume("via", publisher.Consumer{Route: "POST /plain"}, nil)
	return g
}

func TestGoldenDocuments(t *testing.T) {
	for name, make := range map[string]func(document.Source) ([]byte, error){"openapi.json": document.OpenAPI, "asyncapi.json": document.AsyncAPI} {
		got, err := make(document.Of(shop()))
		if err != nil {
			t.Fatal(err)
		}
		again, err := make(document.Of(shop()))
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: a second document differs, %v", name, err)
		}
		if !json.Valid(got) {
			t.Errorf("%s is no JSON", name)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := os.ReadFile(file)
		if string(want) != string(got) {
			t.Errorf("%s has changed: look at `git diff` after `go test ./publisher/document -update`", file)
		}
	}
}

func TestAMissingSchemaNamesTheRoute(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /x", publisher.JSON(func(*publisher.Request, struct{}) (struct{ C chan int }, error) { return struct{ C chan int }{}, nil }))
	if _, err := document.OpenAPI(document.Of(g)); err == nil || err.Error() != "GET /x: struct { C chan int }: unsupported type chan int" {
		t.Error(err)
	}
}
