// Package shop takes orders, has them paid by a bank that often fails, and shows them on a page
// that changes by itself. It is the tutorial of zamqp: README.md leads through its files, in
// the order in which an order meets them.
//
// It needs a database, so it is a Go module of its own, with a server of its own in shopd.
package shop

import (
	"time"

	"zamqp/publisher"
)

// settings are the table [app.shop] of the configuration.
var settings = struct {
	Database    string               `key:"database"`
	Bank        string               `key:"bank" secret:"url"`
	BankTimeout time.Duration        `key:"bank_timeout" min:"10ms" max:"1m"`
	Customers   map[string]*customer `key:"customers"`
}{
	Database:    "shop.db",
	Bank:        "http://127.0.0.1:8080/bank/charges",
	BankTimeout: 3 * time.Second,
}

// exchange carries what happens to orders: order.created, order.paid, order.declined.
const exchange = "zamqp-shop.orders"

func init() {
	publisher.Settings("shop", &settings)
	publisher.OnStart(openDatabase)
	publisher.OnStop(closeDatabase)
	publisher.Database("shop", opened)
	publisher.Pool("shop-bank", 8)

	// Everything below /shop/ asks who the customer is.
	publisher.Use(publisher.Authenticate(publisher.Auth{Realm: "shop", Basic: checkPassword}), "/shop/")
	publisher.Handle("GET /shop/{$}", page)
	publisher.Handle("GET /shop/events", events)
	publisher.Handle("GET /shop/orders", publisher.JSON(list))
	publisher.Handle("POST /shop/orders", publisher.JSON(create, publisher.DefaultStatus(201)))
	publisher.Handle("GET /shop/orders/{id}", publisher.JSON(show))

	publisher.Produce("shop-orders", publisher.Producer{Exchange: exchange, ExchangeType: "topic", NoMandatory: true})
	publisher.AddTopic("shop", publisher.Topic{Exchange: "zamqp-shop.events"})

	// A customer's orders are paid one after the other, different customers' at the same time.
	publisher.Consume("shop-payments", publisher.Consumer{
		Queue: "zamqp-shop.payments", Exchange: exchange, ExchangeType: "topic", RoutingKeys: []string{"order.created"},
		Lane:   "header:customer",
		Dedupe: publisher.Dedupe{Key: "message_id", Database: "shop"},
		Retry:  publisher.Retry{Attempts: 20, Min: 100 * time.Millisecond, Max: 10 * time.Second},
	}, publisher.JSON(pay))

	// All processes have the clock, and one of them ticks.
	publisher.Every("shop-totals", publisher.Clock{Period: 5 * time.Second, Leader: "default", RunAtStart: true}, totals)
}
