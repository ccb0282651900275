package app

import (
	"fmt"
	"net"
	"strconv"

	"zamqp/loop"
)

// Embedded tells whether the connection is to the broker of this process.
func (c *Connection) Embedded() bool { return c.URI.Scheme == embeddedScheme }

// outside is a connection as another process than the server makes it: to the
// embedded broker by its port, as guest.
func (s *Settings) outside(name string) (Connection, error) {
	own := *s.Connections[name]
	if !own.Embedded() {
		return own, nil
	}
	key := "connection." + name + ".url"
	if len(s.Broker.Listen) == 0 {
		return own, fmt.Errorf(`%s = "embedded": broker.listen is "": no other process reaches that broker`, key)
	}
	if guest := s.Broker.Users["guest"]; len(s.Broker.Users) > 0 && (guest == nil || guest.Hash != "") {
		return own, fmt.Errorf(`%s = "embedded": its users have passwords: name one with -o %s=amqp://user:password@%s/`, key, key, s.Broker.Listen[0])
	}
	host, port, _ := net.SplitHostPort(s.Broker.Listen[0])
	own.URI.Scheme, own.URI.Host = "amqp", dialableHost(host)
	if s.Broker.TLSCert != "" {
		own.URI.Scheme = "amqps"
	}
	own.URI.Port, _ = strconv.Atoi(port) // checked by Load
	own.URI.Username, own.URI.Password = "guest", "guest"
	own.URL = []string{own.URI.String()}
	own.Nodes = []Node{{Host: own.URI.Host, Port: own.URI.Port, TLS: own.URI.Scheme == "amqps"}}
	return own, nil
}

// embeds tells whether the plan needs a broker in this process, and for which
// connection first.
func (p *Plan) embeds() (connection string, yes bool) {
	for _, name := range p.Connections {
		if p.Settings.Connections[name].Embedded() {
			return name, true
		}
	}
	return "", false
}

// embed starts the broker of this process if a connection wants it. It comes
// before the listeners of HTTP: whoever is served can publish.
func (a *application) embed() error {
	name, yes := a.plan.embeds()
	if !yes {
		return nil
	}
	e, err := newEmbedded(a.loop, &a.plan.Settings.Broker, a.log)
	if err != nil {
		return err
	}
	a.embedded = e
	a.server.AddReporter(e)
	a.server.AddMeter(e)
	return e.listen(name)
}

// join connects a client of this process to the broker, without a socket.
func (e *embedded) join(client func(*loop.Conn) loop.Peer) {
	e.loop.Join(client, func(c *loop.Conn) loop.Peer { return e.connectOwn(c) })
}

// stopEmbedded comes when nothing of this process needs the broker any more.
func (a *application) stopEmbedded(done func()) {
	if a.embedded == nil {
		done()
		return
	}
	a.embedded.stop(done)
}
