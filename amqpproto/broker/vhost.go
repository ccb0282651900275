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
	firehose  *exchange                     // one of exchanges
	bindings  int                           // number of bindings of all exchanges
	unbinding int                           // removals that still have bindings
	owned     map[*Conn]map[*queue]struct{} // exclusive queues
}

// exchangeSpec is what a client declares about an exchange. Arguments are copied.
type exchangeSpec struct {
	name       string
	kind       string // direct, fanout, topic, headers
	durable    bool
	autoDelete bool
	internal   bool
	args       amqpproto.RawTable
}

// queueSpec is what a client declares about a queue. Arguments are copied.
type queueSpec struct {
	name       string // "" = the server names it
	durable    bool   // never with exclusive
	exclusive  bool
	autoDelete bool
	args       amqpproto.RawTable
}

// predeclared lists the exchanges that every virtual host has. §3.1.3.
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

// All errors below are *amqpproto.ChannelError or *amqpproto.ConnectionError with
// RabbitMQ's text. The caller adds Method and Channel.

// stripBreaks removes line breaks from a name, as RabbitMQ does, so that a client cannot
// forge lines of the log.
func stripBreaks(name string) string {
	if !strings.ContainsAny(name, "\r\n") {
		return name
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(name)
}

// exchange returns the exchange with that name, or nil. "" is the default exchange. It
// does not allocate.
func (v *vhost) exchange(name []byte) *exchange { return v.exchanges[string(name)] }

// queue returns the queue with that name, or nil. It does not allocate.
func (v *vhost) queue(name []byte) *queue { return v.queues[string(name)] }

// needExchange is exchange, but returns a 404 error if there is none.
func (v *vhost) needExchange(name []byte) (*exchange, error) {
	if x := v.exchanges[string(name)]; x != nil {
		return x, nil
	}
	return nil, v.noExchange(string(name))
}

// needQueue is queue, but returns a 404 error if there is none, and a 405 error for the
// exclusive queue of a connection other than c.
func (v *vhost) needQueue(name []byte, c *Conn) (*queue, error) {
	q := v.queues[string(name)]
	if q == nil {
		return nil, v.noQueue(string(name))
	}
	return q, q.mayUse(c)
}

// mayUse returns a 405 error for the exclusive queue of another connection.
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

// checkName returns a 403 error for a reserved name.
func checkName(kind, name string) error {
	if strings.HasPrefix(name, "amq.") {
		return refused("%s name '%s' contains reserved prefix 'amq.*'", kind, name)
	}
	return nil
}

// checkDefault returns a 403 error for declaring, deleting or binding the default
// exchange.
func checkDefault(name string) error {
	if name == "" {
		return refused("operation not permitted on the default exchange")
	}
	return nil
}

// generatedName returns a name like RabbitMQ's: amq.gen- and 16 octets in base64.
func (s *Server) generatedName() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], s.rng.Uint64())
	binary.LittleEndian.PutUint64(b[8:], s.rng.Uint64())
	return "amq.gen-" + base64.RawURLEncoding.EncodeToString(b[:])
}
