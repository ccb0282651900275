package publisher

import "fmt"

// consuming is a consumer as the server uses it.
type consuming struct {
	Consumer
	serving  *serving
	name     string
	label    string // for the watchdog and the log
	handlers []Handler
	handler  Handler // calls the handlers in turn; nil without any
	via      *via    // the route whose handler that is; nil without a Route
	inbox    *inbox  // nil unless ids are kept in a database
	calls    uint64
	failures uint64
	times    Histogram
}

func newConsuming(name string, c Consumer, h Handler, g *Registry) (*consuming, error) {
	if c.Queue == "" && !c.ServerNamed {
		c.Queue = name
	}
	if c.Connection == "" {
		c.Connection = DefaultConnection
	}
	made := &consuming{Consumer: c, name: name, label: "consumer " + name}
	if h != nil {
		made.handlers = append(made.handlers, h)
	}
	if c.Marker != "" {
		made.handlers = append(made.handlers, g.subscribers[c.Marker]...)
		if len(made.handlers) == 0 {
			return nil, fmt.Errorf("nobody subscribes to its marker %q: call publisher.Subscribe(%q, …)", c.Marker, c.Marker)
		}
	}
	if c.Codec != "" {
		if _, err := codecFor([]byte(c.Codec)); err != nil {
			return nil, err
		}
	}
	if !c.Disabled {
		var err error
		if made.via, err = g.via(name, c); err != nil {
			return nil, fmt.Errorf("route %q: %w", c.Route, err)
		}
		if made.via != nil {
			made.handlers = []Handler{made.via.route.Handler}
		}
	}
	own, _ := SplitInstance(name)
	around := wrapped{name: "consumer " + own}
	if made.via != nil {
		around.route = made.via.route
	}
	var err error
	if made.handler, err = g.wrap(inTurn(made.handlers), around); err != nil {
		return nil, err
	}
	if made.inbox, err = newInbox(name, c.Dedupe); made.inbox != nil && made.handler != nil {
		made.handler = made.inbox.around(made.handler)
	}
	return made, err
}

// inTurn returns a handler that calls the others in order until one fails. It is nil
// if there are none.
func inTurn(handlers []Handler) Handler {
	switch len(handlers) {
	case 0:
		return nil
	case 1:
		return handlers[0]
	}
	return func(r *Request) error {
		for _, h := range handlers {
			if err := h(r); err != nil {
				return err
			}
		}
		return nil
	}
}
