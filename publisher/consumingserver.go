package publisher

import (
	"errors"
	"fmt"
	"strings"
)

// A ConsumingServer is one [consuming_server.NAME] of the configuration. It runs instances
// of its own of some consumers, for one site. [InstanceName] is what an instance is called.
type ConsumingServer struct {
	Site    string   // replaces [SiteVariable] in the names of its consumers, and for their calls
	User    string   // [Request.User] of their calls
	BaseURL *BaseURL // of their calls; may be nil
}

// InstanceName is the name of a consumer in a consuming server: "billing@eu". It is the
// consumer's own name if server is "".
func InstanceName(consumer, server string) string {
	if server == "" {
		return consumer
	}
	return consumer + "@" + server
}

// SplitInstance is the inverse of [InstanceName].
func SplitInstance(instance string) (consumer, server string) {
	consumer, server, _ = strings.Cut(instance, "@")
	return consumer, server
}

// A serving is what the calls of one consuming server have in common.
type serving struct {
	ConsumingServer
	name          string // "" of calls without a consuming server
	errorHandlers map[string]ErrorHandler
	producers     map[string]*producing // by registered name: those with other names at this site
}

// Site is the id of the site that the call is for: that of the consuming server whose
// message it is ([consuming_server.NAME]), or else site.id.
func (r *Request) Site() string { return r.serving().Site }

// User is the user that the call is made for: the one that [Authenticate] has found, or, for
// a message, the user of its consuming server ([consuming_server.NAME]). It is "" if nobody has
// said who.
func (r *Request) User() string {
	if b := r.toCall; b != nil && b.passage != nil { // Authenticate may have run since r was made
		var user string
		if b.do(func(call *Request) error { user = call.user; return nil }) == nil {
			return user
		}
	}
	return r.user
}

// serving is what the call shares with others.
func (r *Request) serving() *serving {
	if r.consumer != nil {
		return r.consumer.serving
	}
	return r.server.main
}

// baseURL is the URL at which clients reach the server, for a call that no client has made.
func (r *Request) baseURL() *BaseURL { return r.serving().BaseURL }

// producer finds a producer as it is at the call's site.
func (r *Request) producer(name string) (*producing, error) {
	if p := r.serving().producers[name]; p != nil {
		return p.ready()
	}
	return r.server.producer(name)
}

// expand is [ExpandSite] with the site's id.
func (x *serving) expand(name string) (string, error) {
	expanded, err := ExpandSite(name, x.Site)
	if err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	return expanded, nil
}

// makeServings makes the consuming servers, and what calls without one have in common. The error
// lists all mistakes.
func (s *Server) makeServings(g *Registry) error {
	o := &s.options
	s.main = &serving{ConsumingServer: ConsumingServer{Site: o.Site, BaseURL: o.BaseURL}}
	own := s.main.handleErrors(g)
	if len(o.ConsumingServers) == 0 {
		return own
	} // with consuming servers site.id need not be set, so own does not count
	var mistakes []error
	s.servings = make(map[string]*serving, len(o.ConsumingServers))
	for name, c := range o.ConsumingServers {
		x := &serving{ConsumingServer: c, name: name}
		mistakes = append(mistakes, x.handleErrors(g))
		s.servings[name] = x
	}
	return errors.Join(mistakes...)
}

// handleErrors gives the site the error handlers of its exchanges.
func (x *serving) handleErrors(g *Registry) error {
	var mistakes []error
	x.errorHandlers = make(map[string]ErrorHandler, len(g.errorHandlers))
	for exchange, registered := range g.errorHandlers {
		exchange, err := x.expand(exchange)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("error handler (registered at %s): %w", registered.place, err))
			continue
		}
		x.errorHandlers[exchange] = registered.value
	}
	return errors.Join(mistakes...)
}

// makeProducers makes the producers, and for each consuming server those that differ there. given
// replaces the registered ones.
func (s *Server) makeProducers(g *Registry, given map[string]Producer) error {
	var mistakes []error
	add := func(name, place string, p Producer) *producing {
		made, err := newProducing(name, p)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("producer %s (registered at %s): %w", name, place, err))
			return nil
		}
		s.producers[name] = made
		return made
	}
	for name, registered := range producerKind.in(g) {
		p, ok := given[name]
		if !ok {
			p = registered.value
		}
		add(name, registered.place, p)
		for server, x := range s.servings {
			at := InstanceName(name, server)
			own, ok := given[at]
			if !ok {
				continue
			}
			if made := add(at, registered.place, own); made != nil {
				if x.producers == nil {
					x.producers = map[string]*producing{}
				}
				x.producers[name] = made
			}
		}
	}
	return errors.Join(mistakes...)
}

// makeConsumers makes the consumers. given replaces the registered ones; with consuming
// servers it has all instances, and the consumers of topics.
func (s *Server) makeConsumers(g *Registry, given map[string]Consumer) error {
	var mistakes []error
	add := func(name string, c Consumer, registered *registered[Consumer], x *serving) {
		made, err := newConsuming(name, c, registered.handler, g)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("consumer %s (registered at %s): %w", name, registered.place, err))
			return
		}
		made.serving = x
		s.consumers[name] = made
	}
	declared := consumerKind.in(g)
	if len(s.servings) == 0 {
		for name, registered := range declared {
			c, ok := given[name]
			if !ok {
				c = registered.value
			}
			add(name, c, registered, s.main)
		}
		return errors.Join(mistakes...)
	}
	for instance, c := range given {
		name, server := SplitInstance(instance)
		registered, x := declared[name], s.servings[server]
		if g.OfTopic(name) {
			x = s.main
		}
		if registered == nil || x == nil {
			mistakes = append(mistakes, fmt.Errorf("consumer %s: there is no such consumer, or no such consuming server", instance))
			continue
		}
		add(instance, c, registered, x)
	}
	return errors.Join(mistakes...)
}

// Consumes reports whether a consumer with these settings has a handler for its messages.
func (g *Registry) Consumes(name string, c Consumer) bool {
	d := consumerKind.in(g)[name]
	return d != nil && !c.DeclareOnly && (d.handler != nil || c.Marker != "" || c.Route != "")
}

// OfTopic reports whether a topic has declared the consumer and the producer of this name.
// They serve the whole process, and no site: no consuming server runs them.
func (g *Registry) OfTopic(name string) bool {
	topic, found := strings.CutPrefix(name, topicPrefix)
	if !found {
		return false
	}
	registered := topicKind.in(g)[topic]
	return registered != nil && registered.value.Exchange != ""
}

// instances returns the names of a consumer's instances, or its own name if it runs without
// consuming servers.
func (s *Server) instances(consumer string) (names []string) {
	if s.consumers[consumer] != nil {
		return []string{consumer}
	}
	for server := range s.servings {
		if name := InstanceName(consumer, server); s.consumers[name] != nil {
			names = append(names, name)
		}
	}
	return names
}
