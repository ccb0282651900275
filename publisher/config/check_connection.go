package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

func (c *checker) connection(name string, n *Connection) {
	key := "connection." + name
	c.urls(key, n)
	if n.BackoffMin > n.BackoffMax {
		c.fail(key+".backoff_min", FormatDuration(n.BackoffMin),
			fmt.Sprintf("more than %s.backoff_max, %s: swap them", key, FormatDuration(n.BackoffMax)))
	}
	if n.TxSelect && !n.Confirms {
		c.fail(key+".tx_select", "true", fmt.Sprintf("with tx_select, zamqp waits for the commit: remove %s.confirms = false", key))
	}
	if n.Spool == SpoolFile && !n.Confirms {
		c.fail(key+".spool", show(n.Spool), fmt.Sprintf("without confirms nobody knows what has left: set %s.confirms = true", key))
	}
	if n.Outbox == OutboxSQL && !n.Confirms {
		c.fail(key+".outbox", show(n.Outbox), fmt.Sprintf("without confirms nobody knows which rows have left: set %s.confirms = true", key))
	}
	if n.SpoolDir == "" {
		c.fail(key+".spool_dir", show(n.SpoolDir), `write the name of a directory, as in "spool"`)
	}
	c.tls(key, n)
	c.password(key, n)
}

// urls parses the URLs of a connection.
func (c *checker) urls(key string, n *Connection) {
	n.URL = rejoin(n.URL)
	at := key + ".url"
	if len(n.URL) == 0 {
		c.fail(at, "", `names no broker: write "amqp://user:password@host:5672/vhost"`)
		return
	}
	var first *brokerURL
	n.Nodes = nil
	for _, text := range n.URL {
		u, err := parseURL(text)
		switch {
		case err != nil:
			c.fail(at, show(maskURL(text)), err.Error())
			return
		case u.uri.Scheme == embeddedScheme && len(n.URL) > 1:
			c.fail(at, show(text), "the embedded broker is one: name it alone")
			return
		case first == nil:
			first = u
		case !first.agrees(u):
			c.fail(at, show(maskURL(text)), "the URLs of a connection are the nodes of one cluster: "+
				"user, password, virtual host and the part behind the ? have to be the same in all, or make it two connections")
		}
		node := Node{Host: u.uri.Host, Port: u.uri.Port, TLS: u.uri.Scheme == "amqps"}
		if slices.Contains(n.Nodes, node) {
			c.fail(at, show(maskURL(text)), "listed twice: remove one")
		}
		n.Nodes = append(n.Nodes, node)
	}
	n.URI = first.uri
	if first.uri.Scheme == embeddedScheme {
		n.Nodes = nil
		c.embeddedVhost(at, n)
	}
	c.query(key, n, first)
}

func (c *checker) embeddedVhost(at string, n *Connection) {
	vhosts := c.settings.Broker.Vhosts
	if n.URI.Vhost == "" && len(vhosts) > 0 {
		n.URI.Vhost = vhosts[0]
	} else if len(vhosts) > 0 && !slices.Contains(vhosts, n.URI.Vhost) {
		c.fail(at, show(n.URL[0]), fmt.Sprintf("the embedded broker has no virtual host %q: add it to broker.vhosts", n.URI.Vhost))
	}
}

// rejoin joins parts of a URL that were split at a comma: a part that does not begin with a
// scheme belongs to the part before it. A password may have a comma.
func rejoin(list []string) (urls []string) {
	for _, item := range list {
		begins := strings.Contains(item, "://") || strings.HasPrefix(item, embeddedScheme)
		if len(urls) > 0 && !begins {
			urls[len(urls)-1] += "," + item
			continue
		}
		urls = append(urls, item)
	}
	return urls
}

// tls checks the keys that only amqps uses, and reads their files.
func (c *checker) tls(key string, n *Connection) {
	secure := slices.ContainsFunc(n.Nodes, func(node Node) bool { return node.TLS })
	for _, file := range []struct{ name, value string }{
		{"ca_file", n.CAFile}, {"cert_file", n.CertFile}, {"key_file", n.KeyFile}, {"server_name", n.ServerName},
	} {
		if file.value != "" && !secure {
			c.fail(key+"."+file.name, show(file.value), "only a connection with TLS uses it: let the url begin with amqps://")
			return
		}
	}
	switch {
	case (n.CertFile == "") != (n.KeyFile == ""):
		set, value, other := "cert_file", n.CertFile, "key_file"
		if value == "" {
			set, value, other = "key_file", n.KeyFile, "cert_file"
		}
		c.fail(key+"."+set, show(value), fmt.Sprintf("a certificate needs its key: set %s.%s, too", key, other))
		return
	case n.Mechanism == "EXTERNAL" && n.CertFile == "" && !n.Embedded():
		c.fail(key+".mechanism", show(n.Mechanism),
			fmt.Sprintf("the broker takes the user's name from a certificate: write amqps:// and set %s.cert_file and key_file", key))
		return
	}
	if _, name, err := n.TLSConfig(); err != nil {
		c.fail(key+"."+name, "", err.Error())
	}
}

// password reads the password from its file.
func (c *checker) password(key string, n *Connection) {
	if n.PasswordFile == "" {
		return
	}
	at := key + ".password_file"
	if n.Mechanism == "EXTERNAL" || n.Embedded() {
		c.fail(at, show(n.PasswordFile), "this connection has no password: remove it")
		return
	}
	for _, text := range n.URL {
		if u, err := parseURL(text); err == nil && u.password {
			c.fail(at, show(n.PasswordFile), fmt.Sprintf("there is a password in %s.url, too: remove one", key))
			return
		}
	}
	password, err := ReadPassword(n.PasswordFile)
	if err != nil {
		c.fail(at, show(n.PasswordFile), err.Error())
		return
	}
	n.URI.Password = password
}

// ReadPassword reads the password from a file of one line. The end of the line is not
// part of it.
func ReadPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 || len(text) > passwordMax {
		return "", fmt.Errorf("has %d octets: write the password into it, alone", len(text))
	}
	return string(text), nil
}

// passwordMax is far above the size of any token. A larger file is the wrong file.
const passwordMax = 64 << 10
