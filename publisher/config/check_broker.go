package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"zamqp/amqpproto"

	"golang.org/x/crypto/bcrypt"
)

// broker checks [broker] whether or not this process will run one, so that a mistake
// in it shows before the broker is needed.
func (c *checker) broker() {
	b := &c.settings.Broker
	b.Listen = slices.DeleteFunc(b.Listen, func(address string) bool { return address == "" })
	for i, address := range b.Listen {
		switch {
		case strings.HasPrefix(address, "unix:"):
			c.fail("broker.listen", show(address), `AMQP's clients know no unix sockets: write "host:port"`)
		case checkListen(address) != nil:
			c.fail("broker.listen", show(address), `not an address: write "host:port" or ":5672"; an IPv6 host in brackets`)
		case slices.Contains(b.Listen[:i], address):
			c.fail("broker.listen", show(address), "listed twice: remove one")
		case b.TLSCert == "" && !b.AllowPlain && !isLoopback(address):
			c.fail("broker.listen", show(address), "other machines reach this address, and without TLS passwords and messages "+
				"can be read on the way: set broker.tls_cert and broker.tls_key, or broker.allow_plain = true if the network is trusted")
		}
	}
	if (b.TLSCert == "") != (b.TLSKey == "") {
		key, value := "broker.tls_cert", b.TLSCert
		if value == "" {
			key, value = "broker.tls_key", b.TLSKey
		}
		c.fail(key, show(value), "TLS needs broker.tls_cert and broker.tls_key: set the other one, too")
	}
	c.vhosts()
	for _, name := range slices.Sorted(maps.Keys(b.Users)) {
		c.brokerUser("broker.users."+name, name, b.Users[name])
	}
}

// isLoopback reports whether only this machine reaches an address. A name other than
// localhost may mean anything.
func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (c *checker) vhosts() {
	vhosts := c.settings.Broker.Vhosts
	if len(vhosts) == 0 {
		c.fail("broker.vhosts", "", `a broker has at least one virtual host: write ["/"]`)
	}
	for i, name := range vhosts {
		switch {
		case name == "" || len(name) > amqpproto.ShortstrMax:
			c.fail("broker.vhosts", show(name), "the name of a virtual host has 1 to 255 octets")
		case slices.Contains(vhosts[:i], name):
			c.fail("broker.vhosts", show(name), "listed twice: remove one")
		}
	}
}

func (c *checker) brokerUser(key, name string, u *BrokerUser) {
	switch _, err := bcrypt.Cost([]byte(u.Hash)); {
	case u.Hash == "" && (name == "guest" || c.unread[key+".hash"]): // everybody knows guest's password
	case u.Hash == "":
		c.fail(key, "", "has no hash: `zamqp broker hash` makes one from a password")
	case err != nil:
		c.fail(key+".hash", `"***"`, "not a bcrypt hash: `zamqp broker hash` makes one from a password")
	}
	for _, vhost := range slices.Sorted(maps.Keys(u.Permissions)) {
		at := key + ".permissions." + vhost
		if !slices.Contains(c.settings.Broker.Vhosts, vhost) {
			c.fail(at, "", fmt.Sprintf("there is no virtual host of this name: add it to broker.vhosts, which has %s",
				strings.Join(c.settings.Broker.Vhosts, ", ")))
		}
		p := u.Permissions[vhost]
		for _, part := range []struct{ name, text string }{{"configure", p.Configure}, {"write", p.Write}, {"read", p.Read}} {
			if _, err := regexp.Compile(part.text); err != nil {
				c.fail(at+"."+part.name, show(part.text), "not a regular expression: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			}
		}
	}
}
