// Package declared has what handler packages could declare: routes, a producer and
// consumers. The tests of the configuration and of the commands use it.
package declared

import "zamqp/publisher"

// Nothing is a handler that does nothing.
func Nothing(*publisher.Request) error { return nil }

// Registry returns a new registry with the declarations. Some names contain the site's id.
func Registry() *publisher.Registry {
	r := publisher.NewRegistry()
	r.Handle("GET /hello", Nothing)
	r.Handle("/any/{path...}", Nothing)
	r.Produce("orders", publisher.Producer{Exchange: "orders", ExchangeType: "topic"})
	r.Consume("billing", publisher.Consumer{Exchange: "orders", ExchangeType: "topic", RoutingKeys: []string{"order.*"}, Queue: "billing"}, Nothing)
	r.Consume("hello", publisher.Consumer{}, Nothing)
	r.Consume("mail-out", publisher.Consumer{Queue: "mail-${site_id}", Exchange: "mail", Arguments: publisher.Table{
		"x-dead-letter-exchange": "${site_id}", "nested": publisher.Table{"a": "${site_id}"}}}, Nothing)
	return r
}
