package publisher

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"zamqp/amqpproto"
)

// A Message is what a door knows of a delivery. Its slices are the caller's.
type Message struct {
	Connection  string
	Consumer    string // by its registered name
	ConsumerTag string
	Epoch       uint32 // of the channel, for the settlement
	DeliveryTag uint64
	Redelivered bool
	Attempt     int // 1 for the first
	Exchange    []byte
	RoutingKey  []byte
	Properties  []byte // flags and values as on the wire
	Body        []byte
	Reply       Sender // sends to the default exchange of the same broker
}

// DefaultExchange stands for the exchange "" in the path of a message.
const DefaultExchange = "(default)"

var methodAMQP = []byte("AMQP")

// SetMessage makes the synthetic request of a message; a door calls it. All is
// copied here. An error says that the properties are malformed.
func (r *Request) SetMessage(m *Message) error {
	r.origin = OriginMessage
	r.consumer = r.server.consumers[m.Consumer]
	r.message = *m
	r.reserve(len(m.Exchange) + len(m.RoutingKey) + len(m.Properties))
	r.message.Exchange = r.keep(m.Exchange)
	r.message.RoutingKey = r.keep(m.RoutingKey)
	r.message.Properties = r.keep(m.Properties)
	r.message.Body = nil
	r.body = append(r.body[:0], m.Body...)
	r.method, r.host, r.fields = methodAMQP, nil, r.fields[:0]
	r.target, r.path, r.query = nil, nil, nil
	_, err := r.props.Decode(r.message.Properties)
	return err
}

// makePath builds the path of a message, when somebody asks for it.
func (r *Request) makePath() {
	if r.path != nil || r.origin != OriginMessage {
		return
	}
	p := make([]byte, 0, 64)
	p = appendEscaped(append(p, '/'), r.message.Connection)
	if p = append(p, '/'); len(r.message.Exchange) == 0 {
		p = append(p, DefaultExchange...)
	}
	p = appendEscaped(p, string(r.message.Exchange))
	r.path = appendEscaped(append(p, '/'), string(r.message.RoutingKey))
	r.target = r.path
}

// appendEscaped escapes what would end or change a part of a path.
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

// Delivery is the message as Go's AMQP users know it, a copy; nil for an HTTP
// request. Its Acknowledger is nil: the transaction settles the message.
func (r *Request) Delivery() *Delivery {
	if r.origin != OriginMessage {
		return nil
	}
	p, err := r.props.Publishing()
	if err != nil {
		return nil // cannot be: SetMessage would have refused it
	}
	return &Delivery{
		Headers: p.Headers, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding,
		DeliveryMode: p.DeliveryMode, Priority: p.Priority, CorrelationId: p.CorrelationId,
		ReplyTo: p.ReplyTo, Expiration: p.Expiration, MessageId: p.MessageId,
		Timestamp: p.Timestamp, Type: p.Type, UserId: p.UserId, AppId: p.AppId,
		ConsumerTag: r.message.ConsumerTag, DeliveryTag: r.message.DeliveryTag,
		Redelivered: r.message.Redelivered, Exchange: string(r.message.Exchange),
		RoutingKey: string(r.message.RoutingKey), Body: append([]byte(nil), r.body...),
	}
}

// Message is what the door gave, for doors; the slices are the request's.
func (r *Request) Message() *Message { return &r.message }

// Attempt counts the deliveries of a message, 1 for the first, as far as this
// process has seen them; 1 for an HTTP request.
func (r *Request) Attempt() int { return max(1, r.message.Attempt) }

// messageField is a header field of a message by its HTTP-like name.
func (r *Request) messageField(name string) (string, bool) {
	if p := property(&r.props, textproto.CanonicalMIMEHeaderKey(name)); p != "" {
		return p, true
	}
	value := ""
	found := false
	_ = r.props.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if len(key) == len(name) && equalFold(key, name) {
			value, found = simple(v)
		}
		return !found
	})
	return value, found
}

// messageFields are all header fields of a message; a property hides a key of
// the headers table of the same name.
func (r *Request) messageFields() http.Header {
	h := http.Header{}
	_ = r.props.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if text, ok := simple(v); ok {
			h.Add(string(key), text)
		}
		return true
	})
	for _, name := range propertyNames {
		if text := property(&r.props, name); text != "" {
			h.Set(name, text)
		}
	}
	return h
}

// propertyNames are the properties in the order of the spec, §4.2.6.1.
var propertyNames = []string{"Content-Type", "Content-Encoding", "Delivery-Mode", "Priority", "Correlation-Id",
	"Reply-To", "Expiration", "Message-Id", "Timestamp", "Type", "User-Id", "App-Id", "Cluster-Id"}

func property(p *amqpproto.Properties, name string) string {
	switch name {
	case "Content-Type":
		return string(p.ContentType)
	case "Content-Encoding":
		return string(p.ContentEncoding)
	case "Delivery-Mode":
		return number(p.Flags&amqpproto.FlagDeliveryMode != 0, uint64(p.DeliveryMode))
	case "Priority":
		return number(p.Flags&amqpproto.FlagPriority != 0, uint64(p.Priority))
	case "Correlation-Id":
		return string(p.CorrelationID)
	case "Reply-To":
		return string(p.ReplyTo)
	case "Expiration":
		return string(p.Expiration)
	case "Message-Id":
		return string(p.MessageID)
	case "Timestamp":
		return number(p.Flags&amqpproto.FlagTimestamp != 0, p.Timestamp)
	case "Type":
		return string(p.Type)
	case "User-Id":
		return string(p.UserID)
	case "App-Id":
		return string(p.AppID)
	case "Cluster-Id":
		return string(p.ClusterID)
	}
	return ""
}

func number(set bool, n uint64) string {
	if !set {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// simple is the text of a field value that has one; tables, arrays and void
// have none.
func simple(v amqpproto.Field) (string, bool) {
	value, err := v.Value()
	if err != nil {
		return "", false
	}
	switch value := value.(type) {
	case nil, Table, []any:
		return "", false
	case []byte:
		return string(value), true
	case time.Time:
		return strconv.FormatInt(value.Unix(), 10), true
	}
	return fmt.Sprint(value), true
}

// MessageID is the message's id, a view; nil for an HTTP request.
func (r *Request) MessageID() []byte { return r.property(r.props.MessageID) }

// CorrelationID is the message's correlation id, a view; nil for an HTTP
// request.
func (r *Request) CorrelationID() []byte { return r.property(r.props.CorrelationID) }

func (r *Request) property(b []byte) []byte {
	if r.origin != OriginMessage {
		return nil
	}
	return b
}

// DeliveryCount is how often a quorum queue has delivered the message before;
// 0 where the queue does not count.
func (r *Request) DeliveryCount() int {
	if r.origin != OriginMessage {
		return 0
	}
	f, ok := r.props.Headers.Lookup("x-delivery-count")
	if !ok {
		return 0
	}
	text, _ := simple(f)
	n, _ := strconv.Atoi(text)
	return max(0, min(n, 1<<30))
}
