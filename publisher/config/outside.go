package config

import (
	"fmt"
	"net"
	"strconv"
)

// Embedded reports whether the connection is to the broker of this process.
func (c *Connection) Embedded() bool { return c.URI.Scheme == embeddedScheme }

// Outside returns a connection for another process than the server. It reaches the embedded
// broker by its port, as guest.
func (s *Settings) Outside(name string) (Connection, error) {
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
	own.URI.Scheme, own.URI.Host = "amqp", DialableHost(host)
	if s.Broker.TLSCert != "" {
		own.URI.Scheme = "amqps"
	}
	own.URI.Port, _ = strconv.Atoi(port) // checked by Load
	own.URI.Username, own.URI.Password = "guest", "guest"
	own.URL = []string{own.URI.String()}
	own.Nodes = []Node{{Host: own.URI.Host, Port: own.URI.Port, TLS: own.URI.Scheme == "amqps"}}
	return own, nil
}

// DialableHost returns the host to dial, on this machine, for an address of a listener.
func DialableHost(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		return "127.0.0.1"
	case ip != nil && ip.IsUnspecified(): // all of IPv6, and usually of IPv4 as well
		return "::1"
	}
	return host
}
