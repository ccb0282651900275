package command_test

import "zamqp/publisher"

func nothing(*publisher.Request) error { return nil }

// registry is what the handler packages of these tests declare.
func registry() *publisher.Registry {
	r := publisher.NewRegistry()
	r.Handle("GET /hello", nothing)
	r.Handle("/any/{path...}", nothing)
	r.Produce("orders", publisher.Producer{Exchange: "orders", ExchangeType: "topic"})
	r.Consume("billing", publisher.Consumer{Exchange: "orders", ExchangeType: "topic", RoutingKeys: []string{"order.*"}, Queue: "billing"}, nothing)
	r.Consume("hello", publisher.Consumer{}, nothing)
	r.Consume("mail-out", publisher.Consumer{Queue: "mail-${site_id}", Exchange: "mail", Arguments: publisher.Table{
		"x-dead-letter-exchange": "${site_id}", "nested": publisher.Table{"a": "${site_id}"}}}, nothing)
	return r
}
