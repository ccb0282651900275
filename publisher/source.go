package publisher

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
)

// Origin says where a call comes from.
type Origin string

const (
	OriginHTTP    Origin = "http"    // an HTTP request
	OriginMessage Origin = "message" // an AMQP message
)

func (o Origin) String() string { return string(o) }

// A source is where calls come from, such as HTTP clients and queues. It answers every
// question whose answer depends on that, so only the source's own files know the difference.
// A Request holds its source as an interface value. One value serves all calls, so a call
// allocates nothing for it.
//
// A new source implements this contract in one file, and embeds [unanswered] for methods that it
// does not need. That file also has the method of [Call] that fills a call and sets its source.
// A door, in a folder of its own, makes and dispatches the calls.
type source interface {
	// origin returns the name of the source for handlers.
	origin() Origin
	// name returns what logs and errors call the call.
	name(r *Request) string
	// identify adds fields to the call's lines in the log that tell it from other calls.
	identify(r *Request, c zerolog.Context) zerolog.Context

	// begin counts the call, and sets its handler and its label. It returns false if
	// the call has no handler and is answered already.
	begin(r *Request) bool

	// path makes the path, when it is first asked for.
	path(r *Request)
	// field returns the value of a header field, the first if there are several; names are
	// compared without case.
	field(r *Request, name string) string
	// fields returns a copy of all header fields.
	fields(r *Request) http.Header

	// hasClient reports whether an HTTP client waits for the answer. An answer can be
	// streamed only to a client. To a client a status of 500 is an answer like any other;
	// without a client it is a failure of the call. A client is refused when too many are
	// waiting.
	hasClient() bool
	// setField adds a header field to the answer. The name is not reserved.
	setField(r *Request, name, value string)
	// setTable gives the answer header fields of any AMQP type.
	setTable(r *Request, t Table)
	// answered is called with a final answer. Without a client, some answers are failures of
	// the call; answered returns that failure.
	answered(r *Request) error
	// reply adds the answer to the publishes of the call, if the answer is sent as a message.
	reply(r *Request) error

	// failed is called with the error of the handler or of the commit. The source may deal
	// with the error; the call ends with what failed returns.
	failed(r *Request, err error) error
	// settle sets the outcome of a failed call, logs the failure and answers the call.
	settle(r *Request, err error)
}

// from sets the source of a call, and clears what an earlier call of another source has left.
// The method of Call that fills in the call begins with it.
func (r *Request) from(s source) {
	r.source, r.protocol, r.scheduled, r.scheme, r.prefix, r.user, r.client = s, http11, time.Time{}, "", nil, "", clientAddr{}
	if r.delivered {
		r.delivered, r.props = false, amqpproto.Properties{}
	}
	r.method, r.target, r.path, r.query, r.host, r.fields = nil, nil, nil, nil, nil, r.fields[:0]
}

// unanswered is a source without behaviour: its calls have no header fields, and their
// answers are dropped. Other sources embed it.
type unanswered struct{}

func (unanswered) origin() Origin         { return "unknown" }
func (unanswered) name(r *Request) string { return r.Method() + " " + r.Path() }

func (unanswered) identify(_ *Request, c zerolog.Context) zerolog.Context { return c }

func (unanswered) begin(*Request) bool                { return true }
func (unanswered) path(*Request)                      {}
func (unanswered) field(*Request, string) string      { return "" }
func (unanswered) fields(*Request) http.Header        { return http.Header{} }
func (unanswered) hasClient() bool                    { return false }
func (unanswered) setField(*Request, string, string)  {}
func (unanswered) setTable(*Request, Table)           {}
func (unanswered) answered(r *Request) error          { return r.serverError() }
func (unanswered) reply(*Request) error               { return nil }
func (unanswered) failed(_ *Request, err error) error { return err }

func (unanswered) settle(r *Request, err error) {
	r.server.failure(r, err, zerolog.ErrorLevel).Msg(callFailed)
}
