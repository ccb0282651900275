package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// routeSource is the source of messages that run the HTTP handler of a route; see
// [Consumer.Route]. To the handler the call looks like an HTTP request. In everything else it
// is the call of a message, as [Request.Origin] and [Request.Delivery] say.
type routeSource struct{ messageSource }

func (routeSource) name(r *Request) string {
	return "message " + string(r.message.appendPath(nil)) + " by " + r.consumer.Route
}

func (s routeSource) begin(r *Request) bool {
	s.messageSource.begin(r)
	if err := r.consumer.via.head(r); err != nil {
		r.handler = func(*Request) error { return err }
	}
	return true
}

// field returns a property, or the value of a key of the headers table that passes; see
// routeFields.
func (s routeSource) field(r *Request, name string) string {
	for i := range properties {
		if p := &properties[i]; len(p.name) == len(name) && strings.EqualFold(p.name, name) {
			if text := p.text(&r.props); text != "" || i > 0 || !r.consumer.HeadersContentType {
				return text
			}
			return string(headersContentType(r.props.Headers))
		}
	}
	if !r.consumer.via.passes(name) {
		return ""
	}
	return s.messageSource.field(r, name)
}

func (routeSource) fields(r *Request) http.Header {
	h := r.messageFields(r.consumer.via.passes)
	if len(r.props.ContentType) == 0 && r.consumer.HeadersContentType {
		if text := headersContentType(r.props.Headers); len(text) > 0 {
			h.Set("Content-Type", string(text))
		}
	}
	return h
}

func (routeSource) answered(r *Request) error {
	return r.unsuccessful(r.response.Status, r.response.Body)
}

// via returns the route of a consumer; nil if it names none.
func (g *Registry) via(name string, c Consumer) (*via, error) {
	if c.Route == "" {
		if len(c.RouteHeaders) > 0 {
			return nil, errors.New("route_headers without a route: set route, or remove them")
		}
		return nil, nil
	}
	name, _ = SplitInstance(name)
	if d := consumerKind.in(g)[name]; d != nil && d.handler != nil {
		return nil, fmt.Errorf("the consumer has a handler of its own, given to publisher.Consume at %s: remove the route, or that handler", d.place)
	}
	if c.Marker != "" {
		return nil, errors.New("the consumer has a marker, whose subscribers get its messages: remove one of the two")
	}
	return newVia(g.routes, c.Route, c.RouteHeaders)
}

// RouteOf returns the route that the messages of a consumer run, with the settings of that
// consumer. It is nil if the consumer has its own handler. The error names the mistake and
// the remedy.
func (g *Registry) RouteOf(name string, c Consumer) (*Route, error) {
	v, err := g.via(name, c)
	if v == nil || err != nil {
		return nil, err
	}
	return v.route, nil
}
