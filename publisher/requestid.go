package publisher

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"

	"zamqp/amqpproto"
)

// What a server does with the ids of requests.
const (
	RequestIDOff      = "off"      // nothing; "" is the same
	RequestIDAccept   = "accept"   // it takes the caller's id, and makes one for calls without a valid one
	RequestIDGenerate = "generate" // it makes one for each HTTP request, whatever the client says
)

// RequestIDHeader is the header of a message that carries the id of the request for which the
// message was published. For HTTP it is the field X-Request-Id; names are compared without case.
const RequestIDHeader = "x-request-id"

// requestIDMax is the longest id that is taken over, in octets. It is also what an X-Request-Id may
// add to a line of the log without server.request_id.
const requestIDMax = 128

// requestIDLen is the length of an id that the server makes.
const requestIDLen = 32

var requestIDField = []byte("X-Request-Id")

// RequestID is the id by which the lines of logs that belong together can be found: of a request,
// of the messages that it publishes, of what these cause. It is "" if server.request_id is off.
//
// An HTTP request has it in X-Request-Id, and the answer gets it. A message has it in the header
// x-request-id, or else it is the correlation id if nobody waits for a reply, or else the
// message id. Publishes, requests over AMQP, replies and requests of [Request.Client] get it,
// unless they have one already.
func (r *Request) RequestID() string { return string(r.requestID) }

// identifyHTTP takes the id of an HTTP request, or makes one. What the client has sent in place
// of a valid id is gone then, for handlers, logs and whoever they tell.
func (r *Request) identifyHTTP() {
	at := -1
	for i := 0; i < len(r.fields); i++ {
		switch {
		case len(r.fields[i].Name) != len(requestIDField) || !equalFold(r.fields[i].Name, "X-Request-Id"):
		case at < 0:
			at = i
		default: // a second one
			r.fields[at].Value = nil
			r.fields = append(r.fields[:i], r.fields[i+1:]...)
			i--
		}
	}
	if at >= 0 && r.server.options.RequestID == RequestIDAccept && isRequestID(r.fields[at].Value) {
		r.requestID = r.fields[at].Value
		return
	}
	r.makeRequestID()
	if at >= 0 {
		r.fields[at].Value = r.requestID
		return
	}
	r.fields = append(r.fields, Field{Name: requestIDField, Value: r.requestID})
}

// identifyMessage takes the id of a message, or makes one.
func (r *Request) identifyMessage() {
	p := &r.props
	if p.Has(amqpproto.FlagHeaders) {
		f, ok := p.Headers.Lookup(RequestIDHeader)
		if !ok {
			f, ok = p.Headers.Lookup("X-Request-Id")
		}
		if id, is := f.Bytes(); ok && is && isRequestID(id) {
			r.requestID = id
			return
		}
	}
	switch {
	case len(p.ReplyTo) == 0 && isRequestID(p.CorrelationID): // with a reply_to it tells replies apart, and is "1" for many
		r.requestID = p.CorrelationID
	case isRequestID(p.MessageID): // the same in each attempt
		r.requestID = p.MessageID
	default:
		r.makeRequestID()
	}
}

func (r *Request) makeRequestID() {
	var random [requestIDLen / 2]byte
	for i, n := 0, rand.Uint64(); i < len(random); i++ {
		if i == 8 {
			n = rand.Uint64()
		}
		random[i] = byte(n >> (8 * (i % 8)))
	}
	var id [requestIDLen]byte
	hex.Encode(id[:], random[:])
	r.requestID = r.keep(id[:])
}

// isRequestID reports whether an id may be passed on: it is not too long, and cannot be mistaken for
// anything else in a header, a log or a shell.
func isRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > requestIDMax {
		return false
	}
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		case strings.IndexByte("-._~+/=:@", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// answerID gives the id to an HTTP answer, unless the handler has given one.
func (r *Request) answerID() {
	if !r.server.ids || !r.source.hasClient() {
		return
	}
	if _, found := r.response.line("X-Request-Id"); !found {
		r.setHeader("X-Request-Id", text(r.requestID))
	}
}

// appendRequestID appends the id to an encoded headers table, unless there is one.
func appendRequestID(table amqpproto.RawTable, id []byte) amqpproto.RawTable {
	for _, name := range []string{RequestIDHeader, "X-Request-Id"} {
		if _, has := table.Lookup(name); has {
			return table
		}
	}
	return amqpproto.AppendField(table, view(RequestIDHeader), amqpproto.Field{Type: amqpproto.FieldString, Raw: id})
}
