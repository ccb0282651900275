package broker

import "zamqp/amqpproto"

// vhost is a virtual host: a name space of exchanges and queues.
type vhost struct {
	name      string
	server    *Server
	exchanges map[string]*exchange
	queues    map[string]*queue
}

// exchangeSpec is what a client says about an exchange. Arguments are copied.
type exchangeSpec struct {
	name       string
	kind       string // direct, fanout, topic, headers
	durable    bool
	autoDelete bool
	internal   bool
	args       amqpproto.RawTable
}

// queueSpec is what a client says about a queue. Arguments are copied.
type queueSpec struct {
	name       string // "" = the server names it
	durable    bool
	exclusive  bool
	autoDelete bool
	args       amqpproto.RawTable
}

// All errors below are *amqpproto.ChannelError or *amqpproto.ConnectionError
// with RabbitMQ's words, without Method and Channel, which the caller knows.

// exchange finds an exchange by name without allocating, "" being the default
// one; nil if there is none.
func (v *vhost) exchange(name []byte) *exchange { return nil }

// queue finds a queue by name without allocating; nil if there is none.
func (v *vhost) queue(name []byte) *queue { return nil }

// needExchange is exchange with the 404 for it.
func (v *vhost) needExchange(name []byte) (*exchange, error) { return nil, nil }

// needQueue is queue with the 404, and the 405 for the exclusive queue of a
// connection other than c.
func (v *vhost) needQueue(name []byte, c *Conn) (*queue, error) { return nil, nil }

// declareExchange makes the exchange or finds the equivalent one.
func (v *vhost) declareExchange(spec exchangeSpec) (*exchange, error) { return nil, nil }

// checkExchange is a passive declare.
func (v *vhost) checkExchange(name []byte) error { return nil }

// deleteExchange is exchange.delete; one that is not there is no error.
func (v *vhost) deleteExchange(name []byte, ifUnused bool) error { return nil }

// bindExchange and unbindExchange are exchange.bind and exchange.unbind.
func (v *vhost) bindExchange(destination, source, key []byte, args amqpproto.RawTable) error {
	return nil
}
func (v *vhost) unbindExchange(destination, source, key []byte, args amqpproto.RawTable) error {
	return nil
}

// declareQueue makes the queue or finds the equivalent one. owner is the
// connection that declares.
func (v *vhost) declareQueue(spec queueSpec, owner *Conn) (*queue, error) { return nil, nil }

// checkQueue is a passive declare.
func (v *vhost) checkQueue(name []byte, c *Conn) (*queue, error) { return nil, nil }

// deleteQueue is queue.delete and returns the messages that went with it; a
// queue that is not there is no error.
func (v *vhost) deleteQueue(name []byte, c *Conn, ifUnused, ifEmpty bool) (messages int, err error) {
	return 0, nil
}

// bindQueue and unbindQueue are queue.bind and queue.unbind.
func (v *vhost) bindQueue(queue, exchange, key []byte, args amqpproto.RawTable, c *Conn) error {
	return nil
}
func (v *vhost) unbindQueue(queue, exchange, key []byte, args amqpproto.RawTable, c *Conn) error {
	return nil
}

// dropOwner deletes the exclusive queues of a connection that has ended.
func (v *vhost) dropOwner(c *Conn) {}

// route appends the queues that p goes to when it is published to x, each once:
// bindings of exchanges to exchanges, alternate exchanges, CC and BCC included.
// It allocates nothing but dst. parse comes first.
func (v *vhost) route(x *exchange, p *publishing, dst []*queue) []*queue { return dst }
