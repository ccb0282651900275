package broker

import (
	"encoding/binary"
	"net"
	"slices"
	"strings"

	"zamqp/amqpproto"
)

// The firehose copies each publish in a virtual host to amq.rabbitmq.trace with the key
// publish.EXCHANGE, and each delivery with the key deliver.QUEUE. The headers are those of
// RabbitMQ, in its order. https://www.rabbitmq.com/firehose.html
//
// RabbitMQ does this after trace_on; here it is enough that something is bound to the
// exchange. A copy is transient. Neither a copy nor a dead letter of a copy is copied, so
// clients that consume copies do not cause more of them.

const firehoseName = "amq.rabbitmq.trace"

// traces reports whether something is bound to the firehose.
func (v *vhost) traces() bool { return len(v.firehose.bindings) > 0 }

// tracer is the scratch memory of the firehose, one for a server: a copy that is being made.
type tracer struct {
	copy   publishing
	source publishing // the decoded message of a delivery
	names  []*queue   // queues of a publish, sorted by name
	queues []*queue   // queues that get the copy
	bound  bool       // a binding matches the key of the copy
}

// tracePublish copies a publish, even if no queue takes it. It is called before the message
// is in its queues, so that the copies of deliveries come after that of the publish. A
// publish of a transaction is copied when it arrives.
func (ch *channel) tracePublish(p *publishing, queues []*queue) {
	s := ch.conn.server
	t := &s.tracer
	t.copy.key = append(append(t.copy.key[:0], "publish."...), p.exchange...)
	if !t.wanted(ch.conn.vhost) {
		return
	}
	b := t.begin(p, s.opts.Node)
	b = ch.appendOrigin(b)
	t.names = append(t.names[:0], queues...)
	slices.SortFunc(t.names, func(a, b *queue) int { return strings.Compare(a.name, b.name) })
	b, at := openField(b, "routed_queues", amqpproto.FieldArray)
	for _, q := range t.names {
		if len(b)+5+len(q.name) > s.propertiesMax() {
			break // there may be thousands: only as many as a header has space for
		}
		b = appendLong(append(b, amqpproto.FieldString), q.name)
	}
	clear(t.names)
	ch.conn.vhost.trace(closeField(b, at), p.body, p.large)
	s.drain()
}

// traceDelivery copies a message that is sent to a consumer, or with get-ok. m is the message
// with the properties that are sent. The caller calls drain, because it may be in the middle
// of a queue's work here.
func (ch *channel) traceDelivery(q *queue, redelivered bool, m parts) {
	s := ch.conn.server
	t := &s.tracer
	t.copy.key = append(append(t.copy.key[:0], "deliver."...), q.name...)
	if !t.wanted(ch.conn.vhost) {
		return
	}
	p := &t.source
	p.exchange, p.key, p.props = m.exchange, m.key, m.props
	// It was checked when it was published.
	_ = p.parse()
	_ = p.check()
	p.more = append(p.more, m.bcc...)
	b := t.begin(p, s.opts.Node)
	b = appendNumber(b, "redelivered", uint32(flag(redelivered)))
	b = ch.appendOrigin(b)
	ch.conn.vhost.trace(b, m.body, m.large)
}

// wanted reports whether a binding matches the key of the copy. If none does, there is no
// copy.
func (t *tracer) wanted(v *vhost) bool {
	if len(t.copy.key) > amqpproto.ShortstrMax {
		t.copy.key = t.copy.key[:amqpproto.ShortstrMax]
	}
	t.bound = false
	v.firehose.index.match(t.copy.key, t)
	return t.bound
}

func (t *tracer) follow([]*binding) { t.bound = true }

// headersAt is the offset of the headers in the properties of a copy, which has no other
// properties.
const headersAt = 6

// begin writes the headers from the first to node.
func (t *tracer) begin(p *publishing, node string) []byte {
	b := append(t.copy.props[:0], byte(amqpproto.FlagHeaders>>8), byte(amqpproto.FlagHeaders&0xff), 0, 0, 0, 0)
	b = appendText(b, "exchange_name", p.exchange)
	b, at := openField(b, "routing_keys", amqpproto.FieldArray)
	b = appendLong(append(b, amqpproto.FieldString), p.key)
	for more := p.more; len(more) > 0; {
		var key []byte
		key, more = cutKey(more)
		b = appendLong(append(b, amqpproto.FieldString), key)
	}
	b = closeField(b, at)
	b, at = openField(b, "properties", amqpproto.FieldTable)
	b = closeField(appendTraced(b, &p.properties), at)
	return appendText(b, "node", node)
}

// appendTraced appends the properties that are set as a table. There, a timestamp has only 32
// bits, as in RabbitMQ.
func appendTraced(b []byte, p *amqpproto.Properties) []byte {
	text := func(flag uint16, name string, value []byte) {
		if p.Has(flag) {
			b = appendText(b, name, value)
		}
	}
	number := func(flag uint16, name string, value uint32) {
		if p.Has(flag) {
			b = appendNumber(b, name, value)
		}
	}
	text(amqpproto.FlagClusterID, "cluster_id", p.ClusterID)
	text(amqpproto.FlagAppID, "app_id", p.AppID)
	text(amqpproto.FlagUserID, "user_id", p.UserID)
	text(amqpproto.FlagType, "type", p.Type)
	number(amqpproto.FlagTimestamp, "timestamp", uint32(p.Timestamp))
	text(amqpproto.FlagMessageID, "message_id", p.MessageID)
	text(amqpproto.FlagExpiration, "expiration", p.Expiration)
	text(amqpproto.FlagReplyTo, "reply_to", p.ReplyTo)
	text(amqpproto.FlagCorrelationID, "correlation_id", p.CorrelationID)
	number(amqpproto.FlagPriority, "priority", uint32(p.Priority))
	number(amqpproto.FlagDeliveryMode, "delivery_mode", uint32(p.DeliveryMode))
	if p.Has(amqpproto.FlagHeaders) {
		var at int
		b, at = openField(b, "headers", amqpproto.FieldTable)
		b = closeField(append(b, p.Headers...), at)
	}
	text(amqpproto.FlagContentEncoding, "content_encoding", p.ContentEncoding)
	text(amqpproto.FlagContentType, "content_type", p.ContentType)
	return b
}

// appendOrigin appends the headers about the channel and its connection.
func (ch *channel) appendOrigin(b []byte) []byte {
	c := ch.conn
	b = appendText(b, "vhost", c.vhost.name)
	b = appendText(b, "connection", c.link())
	b = appendNumber(b, "channel", uint32(ch.number))
	return appendText(b, "user", c.user.name)
}

// link returns both ends of the connection, as RabbitMQ names connections. A connection in
// this process has no addresses: it has the name that the client has given.
func (c *Conn) link() string {
	if c.ends == "" {
		c.ends = c.name
		if c.remote != "" {
			c.ends = c.remote
			if w, ok := c.wire.(interface{ LocalAddr() net.Addr }); ok {
				if local := w.LocalAddr(); local != nil {
					c.ends += " -> " + local.String()
				}
			}
		}
	}
	return c.ends
}

// propertiesMax returns how many octets of properties fit into a content header.
func (s *Server) propertiesMax() int { return int(s.opts.FrameMax) - amqpproto.ContentHeaderOverhead }

// trace publishes the copy with these properties. If there is no space for it, in memory or
// in a frame, there is no copy: the firehose never holds anything up.
func (v *vhost) trace(props, body []byte, large bodyRef) {
	s := v.server
	t := &s.tracer
	p := &t.copy
	binary.BigEndian.PutUint32(props[headersAt-4:], uint32(len(props)-headersAt))
	p.exchange, p.props, p.body, p.large = append(p.exchange[:0], firehoseName...), props, body, large
	p.properties = amqpproto.Properties{Flags: amqpproto.FlagHeaders, Headers: props[headersAt:]}
	p.priority, p.expiration, p.traced = -1, -1, true
	if len(props) > s.propertiesMax() || !s.hasRoom(len(props)+len(body)) {
		s.stats.Untraced++
		return
	}
	t.queues = v.route(v.firehose, p, t.queues[:0])
	if len(t.queues) > 0 { // the exchange of a binding may have no bindings itself
		m := s.newMessage(p)
		for _, q := range t.queues {
			q.take(m)
		}
		s.release(m)
		s.stats.Traced++
	}
	clear(t.queues)
	p.body = nil
}

// hasRoom reports whether the broker stays within its limits with a copy of n octets.
// Deliveries continue when memory is over its limit, so their copies must not make it worse.
func (s *Server) hasRoom(n int) bool {
	return s.memoryUsed()+s.behind()+int64(n) <= s.opts.MemoryMax && (s.opts.MessagesMax == 0 || s.messages < s.opts.MessagesMax)
}

// openField begins an array or a table, which closeField ends.
func openField(b []byte, name string, kind byte) (_ []byte, at int) {
	b = append(append(b, byte(len(name))), name...)
	b = append(b, kind, 0, 0, 0, 0)
	return b, len(b)
}

func closeField(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
	return b
}

func appendText[T string | []byte](b []byte, name string, value T) []byte {
	b = append(append(b, byte(len(name))), name...)
	return appendLong(append(b, amqpproto.FieldString), value)
}

func appendLong[T string | []byte](b []byte, value T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

func appendNumber(b []byte, name string, n uint32) []byte {
	b = append(append(b, byte(len(name))), name...)
	return binary.BigEndian.AppendUint32(append(b, amqpproto.FieldInt32), n)
}
