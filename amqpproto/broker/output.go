package broker

import "zamqp/amqpproto/endpoint"

// output is an endpoint's, in which deliveries are told from the rest: a client
// that does not read them may still need to be read.
type output struct {
	endpoint.Output
	delivered int // octets of deliveries among what is pending, at most
}

// answers is what is pending without the deliveries, at least.
func (o *output) answers() int { return o.Len() - o.delivered }

// left forgets the first n octets of what is pending.
func (o *output) left(n int) {
	o.Left(n)
	o.delivered = min(o.delivered, o.Len())
}
