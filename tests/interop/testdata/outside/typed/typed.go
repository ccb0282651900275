// Package typed has typed handlers, which a client calls that is generated from their document.
package typed

import (
	"fmt"
	"sync/atomic"
	"time"

	"zamqp/publisher"
)

// Paging is the part of a list that a client wants.
type Paging struct {
	Limit int      `query:"limit" default:"2" validate:"min=1,max=100" json:"-"`
	Tags  []string `query:"tag" json:"-"`
}

// A Line is one article of a basket.
type Line struct {
	Article string  `json:"article" validate:"required,alphanum,max=12"`
	Count   int32   `json:"count" validate:"min=1"`
	Price   float64 `json:"price" validate:"gte=0"`
}

// A NewBasket is what a client sends.
type NewBasket struct {
	Shop   string    `path:"shop" validate:"alphanum"`
	Tenant string    `header:"X-Tenant" validate:"required"`
	Lines  []Line    `json:"lines" validate:"required,min=1,dive"`
	Kind   string    `json:"kind" default:"normal" validate:"oneof=normal gift"`
	Until  time.Time `json:"until"`
}

// A Basket is what it gets.
type Basket struct {
	ID     string     `json:"id"`
	Kind   string     `json:"kind"`
	Lines  []Line     `json:"lines"`
	Total  float64    `json:"total"`
	Until  *time.Time `json:"until"`
	Tenant string     `json:"tenant,omitempty"`
}

// A List is a part of a list.
type List[T any] struct {
	Items []T  `json:"items"`
	More  bool `json:"more"`
}

type byID struct {
	ID int64 `path:"id" validate:"min=1"`
}

var removed atomic.Int64

func init() {
	publisher.DescribeAll(publisher.Info{Title: "Baskets", Version: "1.0"})
	publisher.Handle("POST /typed/{shop}/baskets", publisher.JSON(create, publisher.DefaultStatus(201)),
		publisher.Describe(publisher.Doc{Summary: "Make a basket", ID: "createBasket", Tags: []string{"baskets"}}))
	publisher.Handle("GET /typed/lines", publisher.JSON(list), publisher.Describe(publisher.Doc{ID: "listLines"}))
	publisher.Handle("DELETE /typed/baskets/{id}", publisher.JSON(remove), publisher.Describe(publisher.Doc{ID: "removeBasket"}))
	publisher.Consume("typed-price", publisher.Consumer{AutoDelete: true, DeadLetter: "off"}, publisher.JSON(price))
	publisher.Produce("typed-lines", publisher.Producer{Doc: publisher.Doc{Body: Line{}}})
}

func create(_ *publisher.Request, in NewBasket) (Basket, error) {
	b := Basket{ID: in.Shop + "-1", Kind: in.Kind, Lines: in.Lines, Tenant: in.Tenant}
	for _, l := range in.Lines {
		b.Total += l.Price * float64(l.Count)
	}
	if !in.Until.IsZero() {
		b.Until = &in.Until
	}
	return b, nil
}

func list(_ *publisher.Request, in Paging) (List[Line], error) {
	l := List[Line]{More: len(in.Tags) > in.Limit}
	for i, tag := range in.Tags {
		if i < in.Limit {
			l.Items = append(l.Items, Line{Article: tag, Count: 1})
		}
	}
	return l, nil
}

func remove(_ *publisher.Request, in byID) (struct{}, error) {
	if in.ID == 404 {
		return struct{}{}, publisher.Errorf(404, "there is no basket %d", in.ID)
	}
	removed.Add(1)
	return struct{}{}, nil
}

func price(_ *publisher.Request, in Line) (string, error) {
	return fmt.Sprintf("%.2f", in.Price*float64(in.Count)), nil
}
