package publisher

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"zamqp/amqpproto"
	"zamqp/loop/coro"
)

// An Option sets one property of a publish. It overrides the producer's default.
type Option struct {
	kind  optionKind
	text  string
	num   uint64
	value any
}

type optionKind uint8

const (
	optKey optionKind = iota + 1
	optExchange
	optHeader
	optHeaders
	optContentType
	optContentEncoding
	optCorrelationID
	optReplyTo
	optExpiration
	optMessageID
	optPriority
	optTimestamp
	optType
	optUserID
	optAppID
	optDeliveryMode
	optMandatory
	optGzip
	optTimeout
)

// Key sets the routing key.
func Key(key string) Option { return Option{kind: optKey, text: key} }

// Exchange sets the exchange, which must exist.
func Exchange(name string) Option { return Option{kind: optExchange, text: name} }

// Header adds one entry to the headers table.
func Header(key string, value any) Option { return Option{kind: optHeader, text: key, value: value} }

// Headers sets the headers table; entries of [Header] are added to a copy.
func Headers(t Table) Option { return Option{kind: optHeaders, value: t} }

// ContentType sets the content type. A []byte or string is then sent as it is.
func ContentType(media string) Option { return Option{kind: optContentType, text: media} }

// Gzip says whether the body is compressed, whatever the producer says.
func Gzip(yes bool) Option {
	if yes {
		return Option{kind: optGzip, num: 1}
	}
	return Option{kind: optGzip}
}

// ContentEncoding says how the given body is already encoded. To compress the body,
// use [Gzip].
func ContentEncoding(coding string) Option { return Option{kind: optContentEncoding, text: coding} }

// CorrelationID sets the correlation id.
func CorrelationID(id string) Option { return Option{kind: optCorrelationID, text: id} }

// ReplyTo sets the queue that replies go to.
func ReplyTo(queue string) Option { return Option{kind: optReplyTo, text: queue} }

// Expiration sets the time after which the broker drops the message from a queue.
// The unit on the wire is the millisecond.
func Expiration(d time.Duration) Option {
	return Option{kind: optExpiration, num: uint64(max(0, d.Milliseconds()))}
}

// MessageID sets the message id.
func MessageID(id string) Option { return Option{kind: optMessageID, text: id} }

// Priority sets the priority: 0 to 9, or more if the queue allows it.
func Priority(n uint8) Option { return Option{kind: optPriority, num: uint64(n)} }

// Timestamp sets the timestamp, in whole seconds.
func Timestamp(t time.Time) Option { return Option{kind: optTimestamp, num: uint64(t.Unix())} }

// Type sets the message type.
func Type(name string) Option { return Option{kind: optType, text: name} }

// UserID sets the user id, which RabbitMQ checks against the login.
func UserID(id string) Option { return Option{kind: optUserID, text: id} }

// AppID sets the application id.
func AppID(id string) Option { return Option{kind: optAppID, text: id} }

// Persistent says whether the message survives a restart of the broker.
func Persistent(yes bool) Option {
	if yes {
		return Option{kind: optDeliveryMode, num: 2}
	}
	return Option{kind: optDeliveryMode, num: 1}
}

// Mandatory says whether an unroutable publish is an error.
func Mandatory(yes bool) Option {
	if yes {
		return Option{kind: optMandatory, num: 1}
	}
	return Option{kind: optMandatory}
}

// draft is a publish before it is encoded.
type draft struct {
	exchange, key string
	mandatory     bool
	props         amqpproto.Properties
	headers       Table
	typed         bool   // an option gave the content type
	owned         bool   // headers is our own copy
	requestID     []byte // for the headers; nil for none
	trace         TraceHeaders
	gzip          bool
}

// usable returns an error if the request's methods cannot be used now.
func (r *Request) usable() error {
	switch {
	case r.toCall != nil:
		return r.toCall.usable()
	case coro.Self() == 0 && r.running != nil && r.running.parked: // finds most foreign goroutines even if they cannot be told apart
		return ErrForeign
	}
	return r.own()
}

// open returns an error if nothing more can be added to the transaction.
func (r *Request) open() error {
	if err := r.usable(); err != nil {
		return err
	}
	if r.response.begun && r.socket == nil {
		return ErrSent
	}
	r.awaitCommit()
	return nil
}

// awaitCommit lets a function given to Go wait while its handler commits: what it adds belongs
// to the next transaction.
func (r *Request) awaitCommit() {
	for r.tx.committing && r.isChild() {
		r.park()
	}
}

// Publish publishes v with the named producer when the call's transaction commits.
// v is encoded now, so it may change afterwards. You may ignore the error: the commit
// fails with it too. A []byte is sent as it is, and so is a string if [ContentType] is
// given. Every other value is encoded by the codec of the given content type, or else
// by the producer's codec.
func (r *Request) Publish(producer string, v any, options ...Option) error {
	if r.toCall != nil {
		return r.toCall.publish(producer, v, options)
	}
	if err := r.open(); err != nil {
		return fmt.Errorf("publish %s: %w", producer, err)
	}
	err := r.publish(producer, v, options)
	if err != nil {
		err = fmt.Errorf("publish %s: %w", producer, err)
		if r.tx.err == nil {
			r.tx.err = err
		}
	}
	return err
}

func (r *Request) publish(name string, v any, options []Option) error {
	p, err := r.producer(name)
	if err != nil {
		return err
	}
	d := p.draft(r.Now())
	if r.server.ids {
		d.requestID = r.requestID
	}
	if id := r.derivedID(); id != nil {
		d.props.MessageID = id
		d.props.Flags |= amqpproto.FlagMessageID
	}
	if err := d.apply(r.serving(), options); err != nil {
		return err
	}
	return r.add(p, &d, v)
}

// add adds a publish to the transaction, with the headers and the span of the call's trace.
func (r *Request) add(p *producing, d *draft, v any) error {
	if r.span == nil {
		return r.tx.add(r, p, d, r.claim(v, d))
	}
	span := r.traced(d, SendPublish)
	err := r.tx.add(r, p, d, r.claim(v, d))
	if err == nil && span != nil {
		r.tx.pubs[len(r.tx.pubs)-1].span = span
	}
	return err
}

// draft returns a publish with the producer's defaults.
func (p *producing) draft(now time.Time) (d draft) {
	d.exchange, d.key, d.mandatory, d.gzip = p.Exchange, p.RoutingKey, p.mandatory, p.Gzip
	d.props.DeliveryMode, d.props.Flags = p.mode, amqpproto.FlagDeliveryMode
	d.setIf(&d.props.ReplyTo, amqpproto.FlagReplyTo, p.ReplyTo)
	d.setIf(&d.props.Expiration, amqpproto.FlagExpiration, p.expiration)
	d.setIf(&d.props.UserID, amqpproto.FlagUserID, p.UserID)
	d.setIf(&d.props.AppID, amqpproto.FlagAppID, p.AppID)
	if p.Priority > 0 {
		d.props.Priority = p.Priority
		d.props.Flags |= amqpproto.FlagPriority
	}
	if p.Timestamp {
		d.props.Timestamp = uint64(now.Unix())
		d.props.Flags |= amqpproto.FlagTimestamp
	}
	return d
}

// derivedID returns the message id of a publish that is made while a message with an id is
// handled. It consists of that id, the consumer, and the number of the publish in the call.
// When the call runs again the id is the same, so the receiver can recognise a second copy.
// The id is in a buffer of the transaction. It is nil for other publishes.
func (r *Request) derivedID() []byte {
	if len(r.props.MessageID) == 0 {
		return nil
	}
	t := &r.tx
	t.id = append(append(t.id[:0], r.props.MessageID...), ':')
	t.id = append(append(t.id, r.message.Consumer...), ':')
	t.id = strconv.AppendInt(t.id, int64(len(t.pubs)), 10)
	if len(t.id) > amqpproto.ShortstrMax {
		sum := sha256.Sum256(t.id)
		t.id = hex.AppendEncode(t.id[:0], sum[:])
	}
	return t.id
}

// add encodes the properties and then the body into the arena. r is the call. It is
// nil outside of a call: then the caller's goroutine does all the work.
func (t *Tx) add(r *Request, p *producing, d *draft, v any) error {
	if d.gzip {
		d.set(&d.props.ContentEncoding, amqpproto.FlagContentEncoding, "gzip")
	}
	codec := p.codec
	raw, ready := v.([]byte)
	own, owned := v.(ownBody)
	if owned {
		raw, ready = own, true
	}
	if text, ok := v.(string); ok && d.typed {
		raw, ready = view(text), true
	}
	switch {
	case !d.typed:
		d.set(&d.props.ContentType, amqpproto.FlagContentType, p.contentType)
	case !ready:
		var err error
		if codec, err = codecFor(d.props.ContentType); err != nil {
			return err
		}
	}
	if ready {
		return t.addRaw(r, p, d, raw, owned)
	}
	if textSize(v) > amqpproto.LargeBody {
		body, err := r.encodeLarge(codec, v, d.gzip)
		if err != nil {
			return err
		}
		d.gzip = false
		return t.addRaw(r, p, d, body, true)
	}
	start := len(t.arena)
	arena, err := t.encodeProperties(t.arena, d)
	if err != nil {
		return err
	}
	bodyAt := len(arena)
	if arena, err = codec.Append(arena, v); err != nil {
		return err
	}
	if len(arena)-bodyAt > amqpproto.LargeBody {
		// Move the properties. The body keeps this memory, and no later publish writes to it.
		body := arena[bodyAt:]
		return t.addLarge(r, p, d, body, append([]byte(nil), arena[:bodyAt]...), start)
	}
	if d.gzip {
		if arena, err = r.pack(arena, bodyAt); err != nil {
			return err
		}
	}
	t.push(p, d, arena, start, bodyAt)
	return nil
}

// addRaw is add for a body that needs no codec.
func (t *Tx) addRaw(r *Request, p *producing, d *draft, body []byte, owned bool) error {
	start := len(t.arena)
	arena, err := t.encodeProperties(t.arena, d)
	if err != nil {
		return err
	}
	bodyAt := len(arena)
	if owned || len(body) > amqpproto.LargeBody {
		return t.addLarge(r, p, d, body, arena, start)
	}
	arena = append(arena, body...)
	if d.gzip {
		if arena, err = r.pack(arena, bodyAt); err != nil {
			return err
		}
	}
	t.push(p, d, arena, start, bodyAt)
	return nil
}

// addLarge is add for a large body, which is not copied. If it has to be compressed, a worker
// thread does that, not the loop.
func (t *Tx) addLarge(r *Request, p *producing, d *draft, body, arena []byte, start int) error {
	if d.gzip {
		t.arena = arena // the call may wait now
		var packed []byte
		err := r.apart(func() (err error) {
			packed, err = gzipped(body)
			return err
		})
		if err != nil {
			return err
		}
		body = packed
	}
	t.push(p, d, arena, start, len(arena))
	t.pubs[len(t.pubs)-1].large = body
	return nil
}

func (t *Tx) push(p *producing, d *draft, arena []byte, start, bodyAt int) {
	t.arena = arena
	t.pubs = append(t.pubs, publication{
		Publication: Publication{Exchange: d.exchange, RoutingKey: d.key, Mandatory: d.mandatory},
		sender:      p.sender, name: p.name, propsAt: start, bodyAt: bodyAt, endAt: len(arena),
	})
}

// encodeProperties appends the flags and the values, with the headers table among
// them, in the format of the wire.
func (t *Tx) encodeProperties(dst []byte, d *draft) ([]byte, error) {
	if len(d.headers) > 0 {
		table, err := amqpproto.AppendTable(t.table[:0], d.headers)
		if err != nil {
			return dst, err
		}
		t.table = table
		d.props.Headers = table
		d.props.Flags |= amqpproto.FlagHeaders
	}
	if d.requestID != nil {
		t.table = appendRequestID(append(t.table[:0], d.props.Headers...), d.requestID)
		d.props.Headers = t.table
		d.props.Flags |= amqpproto.FlagHeaders
	}
	if d.trace.Parent != "" {
		t.table = d.trace.appendTo(append(t.table[:0], d.props.Headers...))
		d.props.Headers = t.table
		d.props.Flags |= amqpproto.FlagHeaders
	}
	return d.props.Append(dst)
}

func (d *draft) apply(x *serving, options []Option) error {
	for i := range options {
		o := &options[i]
		p := &d.props
		name, err := o.text, error(nil)
		if o.isName() {
			if name, err = x.expand(name); err != nil {
				return err
			}
		}
		switch o.kind {
		case optKey:
			d.key = name
		case optExchange:
			d.exchange = name
		case optMandatory:
			d.mandatory = o.num == 1
		case optHeaders:
			d.headers, _ = o.value.(Table)
			d.owned = false
		case optHeader:
			d.addHeader(o.text, o.value)
		case optContentType:
			d.set(&p.ContentType, amqpproto.FlagContentType, o.text)
			d.typed = true
		case optContentEncoding:
			d.set(&p.ContentEncoding, amqpproto.FlagContentEncoding, o.text)
			d.gzip = false
		case optGzip:
			d.gzip = o.num == 1
		case optCorrelationID:
			d.set(&p.CorrelationID, amqpproto.FlagCorrelationID, o.text)
		case optReplyTo:
			d.set(&p.ReplyTo, amqpproto.FlagReplyTo, name)
		case optExpiration:
			d.set(&p.Expiration, amqpproto.FlagExpiration, strconv.FormatUint(o.num, 10))
		case optMessageID:
			d.set(&p.MessageID, amqpproto.FlagMessageID, o.text)
		case optType:
			d.set(&p.Type, amqpproto.FlagType, o.text)
		case optUserID:
			d.set(&p.UserID, amqpproto.FlagUserID, name)
		case optAppID:
			d.set(&p.AppID, amqpproto.FlagAppID, name)
		case optPriority:
			p.Priority = uint8(o.num)
			p.Flags |= amqpproto.FlagPriority
		case optTimestamp:
			p.Timestamp = o.num
			p.Flags |= amqpproto.FlagTimestamp
		case optDeliveryMode:
			p.DeliveryMode = uint8(o.num)
		}
	}
	if len(d.key) > 255 || len(d.exchange) > 255 {
		return fmt.Errorf("exchange and routing key have 255 octets at most (AMQP 0-9-1 shortstr): %.40q… is longer", d.exchange+d.key)
	}
	return nil
}

func (d *draft) set(field *[]byte, flag uint16, text string) {
	*field = view(text)
	d.props.Flags |= flag
}

func (d *draft) setIf(field *[]byte, flag uint16, text string) {
	if text != "" {
		d.set(field, flag, text)
	}
}

func (d *draft) addHeader(key string, value any) {
	if !d.owned {
		own := make(Table, len(d.headers)+1)
		for k, v := range d.headers {
			own[k] = v
		}
		d.headers, d.owned = own, true
	}
	d.headers[key] = value
}

// text returns a string that shares the octets of b: b must not change while the
// string is used.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// view returns the octets of a string. Read them only, and do not keep them.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
