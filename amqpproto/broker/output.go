package broker

import "zamqp/amqpproto/endpoint"

// output is an endpoint's output that counts deliveries apart from the rest: if a
// client does not read its deliveries, the broker may still have to read the
// client.
type output struct {
	endpoint.Output
	delivered int // upper bound of the octets of deliveries in what is pending
}

// answers is a lower bound of what is pending without the deliveries.
func (o *output) answers() int { return o.Len() - o.delivered }

// left notes that the first n octets of what is pending have left.
func (o *output) left(n int) {
	o.Left(n)
	o.delivered = min(o.delivered, o.Len())
}
