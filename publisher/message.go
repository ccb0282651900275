package publisher

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"zamqp/amqpproto"
)

// A Message is what a door knows about a delivery. Its slices belong to the caller.
type Message struct {
	Connection  string
	Consumer    string // the registered name
	ConsumerTag string
	Epoch       uint32 // epoch of the channel, for the settlement
	DeliveryTag uint64
	Redelivered bool
	History     History // the part of the history that the headers do not have; SetMessage adds the rest
	Slot        uint32  // the door's own: see publisher/inhand
	Queue       string  // the queue that it was consumed from
	Exchange    []byte
	RoutingKey  []byte
	Properties  []byte // flags and values as on the wire
	Body        []byte
	Owned       bool   // Body belongs to the request from now on: nothing else uses its memory
	Reply       Sender // sends to the default exchange of the same broker
	// FirstAttempt is the traceparent of the span of the first attempt; "" if that was not traced.
	// The tracer sets it; it stays with a message that is tried again.
	FirstAttempt string
}

// DefaultExchange stands for the exchange "" in the path of a message.
const DefaultExchange = "(default)"

var methodAMQP = []byte("AMQP")

// SetMessage makes the request of a message. It copies everything. An error says that the
// properties or the headers are malformed. Then no handler gets the message, and
// [Call.Message] has the properties as they came.
func (c *Call) SetMessage(m *Message) error {
	r := c.Request()
	r.source, r.protocol, r.scheduled, r.scheme, r.prefix, r.user, r.client = messageSource{}, http11, time.Time{}, "", nil, "", clientAddr{}
	if r.consumer = r.server.consumers[m.Consumer]; r.consumer != nil {
		if r.user = r.consumer.serving.User; r.consumer.via != nil {
			r.source = routeSource{}
		}
	}
	r.message, r.delivered = *m, true
	r.reserve(len(m.Exchange) + len(m.RoutingKey) + len(m.Properties))
	r.message.Exchange = r.keep(m.Exchange)
	r.message.RoutingKey = r.keep(m.RoutingKey)
	r.message.Properties = r.keep(m.Properties)
	r.message.Body = nil
	if m.Owned {
		r.body = m.Body
	} else {
		r.body = append(r.body[:0], m.Body...)
	}
	r.count(len(r.body))
	r.method, r.host, r.fields = methodAMQP, nil, r.fields[:0]
	r.target, r.path, r.query = nil, nil, nil
	if err := readable(&r.props, r.message.Properties); err != nil {
		return err
	}
	if isEnvelope(&r.props) {
		if err := r.unwrap(); err != nil {
			return err
		}
	}
	r.readTrace()
	if r.server.ids {
		r.identifyMessage()
	}
	return nil
}

// path is /{connection}/{exchange}/{routing key}.
func (messageSource) path(r *Request) {
	r.path = r.message.appendPath(make([]byte, 0, 64))
	r.target = r.path
}

// appendPath appends where the message comes from, as a path.
func (m *Message) appendPath(p []byte) []byte {
	p = appendEscaped(append(p, '/'), m.Connection)
	if p = append(p, '/'); len(m.Exchange) == 0 {
		p = append(p, DefaultExchange...)
	}
	p = appendEscaped(p, text(m.Exchange))
	return appendEscaped(append(p, '/'), text(m.RoutingKey))
}

// appendEscaped appends a text, with those octets escaped that would end or change a part of
// a path.
func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '/' || c == '%' || c == '?' || c == '#' {
			dst = fmt.Appendf(dst, "%%%02X", c)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// Delivery returns a copy of the message in the type that AMQP users of Go know, or nil for
// an HTTP request. Its Acknowledger is nil, because the transaction settles the message.
func (r *Request) Delivery() *Delivery {
	if !r.delivered {
		return nil
	}
	p, err := r.props.Publishing()
	if err != nil { // impossible: SetMessage would have refused it
		plain := r.props
		plain.Headers, plain.Flags = nil, plain.Flags&^amqpproto.FlagHeaders
		p, _ = plain.Publishing()
	}
	for moved, name := range movedKeys {
		if value, was := p.Headers[moved]; was {
			p.Headers[name] = value
			delete(p.Headers, moved)
		}
	}
	return &Delivery{
		Headers: p.Headers, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding,
		DeliveryMode: p.DeliveryMode, Priority: p.Priority, CorrelationId: p.CorrelationId,
		ReplyTo: p.ReplyTo, Expiration: p.Expiration, MessageId: p.MessageId,
		Timestamp: p.Timestamp, Type: p.Type, UserId: p.UserId, AppId: p.AppId,
		ConsumerTag: r.message.ConsumerTag, DeliveryTag: r.message.DeliveryTag,
		Redelivered: r.message.Redelivered, Exchange: string(r.message.Exchange),
		RoutingKey: string(r.message.RoutingKey), Body: r.copyBody(nil, r.body),
	}
}

// Message returns what SetMessage got; the slices belong to the call. Exchange and routing key
// are those of the first publish of the message, even if it comes back from a retry queue.
func (c *Call) Message() *Message { return &c.message }

// Attempt returns the number of the attempt for a message, 1 for the first. It counts
// attempts that failed, and attempts during which the process ended. By x-death it also
// counts how often a dead-letter exchange of the user has brought the message back. It is 1
// for an HTTP request.
func (r *Request) Attempt() int { return r.message.History.Attempt() }

// field returns a property by its HTTP-like name, or a simple value of the headers table.
func (messageSource) field(r *Request, name string) (value string) {
	for i := range properties {
		if p := &properties[i]; len(p.name) == len(name) && strings.EqualFold(p.name, name) {
			if text := p.text(&r.props); text != "" {
				return text
			}
			break
		}
	}
	found := false
	_ = r.props.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if len(key) == len(name) && equalFold(key, name) {
			value, found = simple(v)
		}
		return !found
	})
	return value
}

// fields returns the fields of the properties and of the headers table. A property hides a key
// of the headers table with the same name.
func (messageSource) fields(r *Request) http.Header {
	return r.messageFields(func(string) bool { return true })
}

// messageFields returns the fields, with those keys of the headers table for which passes
// returns true.
func (r *Request) messageFields(passes func(key string) bool) http.Header {
	h := http.Header{}
	_ = r.props.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if text, ok := simple(v); ok && passes(string(key)) {
			h.Add(string(key), text)
		}
		return true
	})
	for _, p := range properties {
		if text := p.text(&r.props); text != "" {
			h.Set(p.name, text)
		}
	}
	return h
}

// A property describes the header field that a message's property becomes.
type property struct {
	name string
	text func(p *amqpproto.Properties) string
}

// properties returns the header fields for a message's properties, in the order of the spec,
// §4.2.6.1. An empty text is a missing field.
var properties = [...]property{
	{"Content-Type", func(p *amqpproto.Properties) string { return string(p.ContentType) }},
	{"Content-Encoding", func(p *amqpproto.Properties) string { return string(p.ContentEncoding) }},
	{"Delivery-Mode", func(p *amqpproto.Properties) string {
		return number(p.Has(amqpproto.FlagDeliveryMode), uint64(p.DeliveryMode))
	}},
	{"Priority", func(p *amqpproto.Properties) string {
		return number(p.Has(amqpproto.FlagPriority), uint64(p.Priority))
	}},
	{"Correlation-Id", func(p *amqpproto.Properties) string { return string(p.CorrelationID) }},
	{"Reply-To", func(p *amqpproto.Properties) string { return string(p.ReplyTo) }},
	{"Expiration", func(p *amqpproto.Properties) string { return string(p.Expiration) }},
	{"Message-Id", func(p *amqpproto.Properties) string { return string(p.MessageID) }},
	{"Timestamp", func(p *amqpproto.Properties) string {
		return number(p.Has(amqpproto.FlagTimestamp), p.Timestamp)
	}},
	{"Type", func(p *amqpproto.Properties) string { return string(p.Type) }},
	{"User-Id", func(p *amqpproto.Properties) string { return string(p.UserID) }},
	{"App-Id", func(p *amqpproto.Properties) string { return string(p.AppID) }},
	{"Cluster-Id", func(p *amqpproto.Properties) string { return string(p.ClusterID) }},
}

func number(set bool, n uint64) string {
	if !set {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// simple returns the text of a field value that is simple. Tables, arrays and void are not.
func simple(v amqpproto.Field) (string, bool) {
	if b, ok := v.Bytes(); ok {
		return string(b), true
	}
	if n, ok := v.Int(); ok {
		return strconv.FormatInt(n, 10), true
	}
	value, err := v.Value()
	if err != nil {
		return "", false
	}
	switch value := value.(type) {
	case nil, Table, []any:
		return "", false
	case time.Time:
		return strconv.FormatInt(value.Unix(), 10), true
	}
	return fmt.Sprint(value), true
}

// MessageID is the message's id, a view; nil for an HTTP request.
func (r *Request) MessageID() []byte { return r.props.MessageID }

// CorrelationID is the message's correlation id, a view; nil for an HTTP
// request.
func (r *Request) CorrelationID() []byte { return r.props.CorrelationID }

// DeliveryCount returns how often a quorum queue has delivered the message before, or 0 if the
// queue does not count.
func (c *Call) DeliveryCount() int {
	f, ok := c.props.Headers.Lookup(deliveryCount)
	if !ok {
		return 0
	}
	text, _ := simple(f)
	n, _ := strconv.Atoi(text)
	return max(0, min(n, 1<<30))
}

// CountsFailures reports whether DeliveryCount leaves out returns by basic.nack. RabbitMQ leaves
// them out since 4.3, which counts all returns in another header.
func (c *Call) CountsFailures() bool {
	_, ok := c.props.Headers.Lookup(acquiredCount)
	return ok
}

// Headers that a quorum queue adds to a delivery.
const (
	deliveryCount = "x-delivery-count"
	acquiredCount = "x-acquired-count"
)
