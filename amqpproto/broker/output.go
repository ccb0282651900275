package broker

import "zamqp/amqpproto/endpoint"

// output is an endpoint's output that counts deliveries separately: if a client does not read
// its deliveries, the broker may still have to read from the client.
type output struct {
	endpoint.Output
	delivered int // upper bound of the pending octets of deliveries
}

// answers returns a lower bound of the pending octets without deliveries.
func (o *output) answers() int { return o.Len() - o.delivered }

// left records that the first n pending octets were sent.
func (o *output) left(n int) {
	o.Left(n)
	o.delivered = min(o.delivered, o.Len())
}
