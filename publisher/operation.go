package publisher

import (
	"net/http"
	"reflect"
	"slices"

	"zamqp/publisher/binding"
)

// A Doc is what the documents of the interface, OpenAPI and AsyncAPI, say about a route, a consumer or a
// producer. All of it may be left out. Of a handler that [JSON] has made they know Body, Answer
// and Status by themselves.
type Doc struct {
	// Summary is a short line, Description a text in CommonMark.
	Summary     string
	Description string
	// Tags are the groups in which documents show the operation.
	Tags []string
	// ID is the operationId, from which clients that are generated take the name of their
	// function; "" makes one of method and path.
	ID string
	// Body is a value of the type of the body, such as Order{}: of what a route or a consumer
	// takes, and of what a producer publishes. Its fields may be parameters, as for JSON.
	Body any
	// Answer is a value of the type of the answer, or of the reply to a message.
	Answer any
	// Status is that of the answer; 0 is 200, or 204 without an Answer.
	Status int
	// Hidden leaves the route, the consumer or the producer out.
	Hidden bool
}

// Describe says what the documents of the interface say about a route:
//
//	publisher.Handle("POST /orders", create, publisher.Describe(publisher.Doc{
//		Summary: "Take an order", Body: Order{}, Answer: Receipt{}, Status: 202}))
func Describe(d Doc) RouteOption {
	return func(r *Route) { r.doc = d }
}

// Info is what the documents of the interface say about the whole.
type Info struct {
	Title       string // "" is the name of the program
	Version     string // "" is the version of the program's module
	Description string // a text in CommonMark
}

// DescribeAll sets what the documents of the interface say about the whole. A later call replaces
// an earlier one.
func DescribeAll(i Info) { Default.DescribeAll(i) }

// DescribeAll is the package's [DescribeAll] for this registry.
func (g *Registry) DescribeAll(i Info) { g.info = i }

// Info returns what [DescribeAll] has set.
func (g *Registry) Info() Info { return g.info }

// An Operation is what is known of a route, a consumer or a producer; for documents.
type Operation struct {
	Doc
	Plan     *binding.Plan // of what is taken; nil if that is not known
	Optional bool          // a body need not be there
	Strict   bool          // unknown members are refused
	Out      reflect.Type  // of the answer; nil for none
	Answers  bool          // whether and what it answers is known
	Basic    bool          // [Authenticate] takes users and passwords
	Bearer   bool          // [Authenticate] takes tokens
	Open     bool          // it needs no credentials, but takes them
}

// newOperation puts together what a Doc and a handler say. The Doc wins.
func newOperation(d Doc, h Handler) (Operation, error) {
	o := Operation{Doc: d}
	if t := typedOf(h); t != nil {
		o.Plan, o.Optional, o.Strict, o.Answers = t.plan, t.optional, t.strict, true
		if o.Status == 0 {
			o.Status = t.status
		}
		if !t.form.empty {
			o.Out = t.out
		}
	}
	if d.Body != nil {
		plan, err := binding.Read(reflect.TypeOf(d.Body))
		if err != nil {
			return o, err
		}
		o.Plan = plan
	}
	if d.Answer != nil {
		o.Out, o.Answers = reflect.TypeOf(d.Answer), true
	}
	if o.Status == 0 {
		if o.Status = http.StatusOK; o.Out == nil {
			o.Status = http.StatusNoContent
		}
	} else {
		o.Answers = true
	}
	return o, nil
}

// RouteOperation returns what is known of a route.
func (g *Registry) RouteOperation(r *Route) (Operation, error) {
	o, err := newOperation(r.doc, r.Handler)
	g.addGates(&o, wrapped{route: r})
	return o, err
}

// ConsumerOperation returns what is known of a consumer. If it runs a route, that is what is known
// of the route.
func (g *Registry) ConsumerOperation(name string, c Consumer) (Operation, error) {
	name, _ = SplitInstance(name)
	h := Handler(nil)
	doc := c.Doc
	if d := consumerKind.in(g)[name]; d != nil {
		h = d.handler
	}
	if c.Marker != "" {
		handlers := g.subscribers[c.Marker]
		if i := slices.IndexFunc(handlers, func(h Handler) bool { return typedOf(h) != nil }); h == nil && i >= 0 {
			h = handlers[i]
		}
	}
	if route, err := g.RouteOf(name, c); err == nil && route != nil {
		if h = route.Handler; doc.Body == nil {
			doc.Body = route.doc.Body
		}
		if doc.Answer == nil {
			doc.Answer = route.doc.Answer
		}
		if doc.Summary == "" {
			doc.Summary = route.doc.Summary
		}
	}
	return newOperation(doc, h)
}

// ProducerOperation returns what is known of a producer.
func (g *Registry) ProducerOperation(p Producer) (Operation, error) { return newOperation(p.Doc, nil) }

// addGates notes which credentials the middleware around a route takes.
func (g *Registry) addGates(o *Operation, x wrapped) {
	for _, w := range g.wrappings {
		if gate := gateOf(w.wrap); gate != nil && w.reach(x) != reachesNone {
			o.Basic, o.Bearer = o.Basic || gate.Basic != nil, o.Bearer || gate.Bearer != nil
			o.Open = gate.Optional || w.reach(x) != reachesAll
		}
	}
}
