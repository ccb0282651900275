package broker

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"zamqp/amqpproto"
)

// vhost is a virtual host: a name space of exchanges and queues.
type vhost struct {
	name      string
	server    *Server
	exchanges map[string]*exchange
	queues    map[string]*queue
	firehose  *exchange                     // of exchanges
	bindings  int                           // of all exchanges
	unbinding int                           // removals that have bindings
	owned     map[*Conn]map[*queue]struct{} // exclusive queues
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
	durable    bool   // never with exclusive
	exclusive  bool
	autoDelete bool
	args       amqpproto.RawTable
}

// predeclared are the exchanges that every virtual host has. §3.1.3.
var predeclared = []exchangeSpec{
	{name: "", kind: "direct", durable: true},
	{name: "amq.direct", kind: "direct", durable: true},
	{name: "amq.fanout", kind: "fanout", durable: true},
	{name: "amq.topic", kind: "topic", durable: true},
	{name: "amq.headers", kind: "headers", durable: true},
	{name: "amq.match", kind: "headers", durable: true},
	{name: firehoseName, kind: "topic", durable: true, internal: true},
}

// newVhost makes a virtual host with the predeclared exchanges; the caller puts
// it into s.vhosts.
func (s *Server) newVhost(name string) *vhost {
	if s.slabs.allocate == nil {
		s.initEngine()
	}
	v := &vhost{name: name, server: s, exchanges: map[string]*exchange{}, queues: map[string]*queue{},
		owned: map[*Conn]map[*queue]struct{}{}}
	for _, spec := range predeclared {
		v.exchanges[spec.name] = newExchange(v, spec)
	}
	v.firehose = v.exchanges[firehoseName]
	return v
}

// All errors below are *amqpproto.ChannelError or *amqpproto.ConnectionError
// with RabbitMQ's words, without Method and Channel, which the caller knows.

// stripBreaks takes line breaks out of a name, as RabbitMQ does, so that nobody
// forges lines of its log.
func stripBreaks(name string) string {
	if !strings.ContainsAny(name, "\r\n") {
		return name
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(name)
}

// exchange finds an exchange by name without allocating, "" being the default
// one; nil if there is none.
func (v *vhost) exchange(name []byte) *exchange { return v.exchanges[string(name)] }

// queue finds a queue by name without allocating; nil if there is none.
func (v *vhost) queue(name []byte) *queue { return v.queues[string(name)] }

// needExchange is exchange with the 404 for it.
func (v *vhost) needExchange(name []byte) (*exchange, error) {
	if x := v.exchanges[string(name)]; x != nil {
		return x, nil
	}
	return nil, v.noExchange(string(name))
}

// needQueue is queue with the 404, and the 405 for the exclusive queue of a
// connection other than c.
func (v *vhost) needQueue(name []byte, c *Conn) (*queue, error) {
	q := v.queues[string(name)]
	if q == nil {
		return nil, v.noQueue(string(name))
	}
	return q, q.mayUse(c)
}

// mayUse is the 405 for another connection's exclusive queue.
func (q *queue) mayUse(c *Conn) error {
	if q.owner != nil && q.owner != c {
		return q.lockedError()
	}
	return nil
}

func (q *queue) lockedError() error {
	return locked("cannot obtain exclusive access to locked %s. It could be originally declared on another connection"+
		" or the exclusive property value does not match that of the original declaration.", q)
}

// checkName is the 403 for names that are reserved.
func checkName(kind, name string) error {
	if strings.HasPrefix(name, "amq.") {
		return refused("%s name '%s' contains reserved prefix 'amq.*'", kind, name)
	}
	return nil
}

// checkDefault is the 403 for declaring, deleting and binding the default
// exchange.
func checkDefault(name string) error {
	if name == "" {
		return refused("operation not permitted on the default exchange")
	}
	return nil
}

// generatedName is a name of RabbitMQ's form: amq.gen- and 16 octets in base64.
func (s *Server) generatedName() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], s.rng.Uint64())
	binary.LittleEndian.PutUint64(b[8:], s.rng.Uint64())
	return "amq.gen-" + base64.RawURLEncoding.EncodeToString(b[:])
}
