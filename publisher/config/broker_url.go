package config

import (
	"errors"
	"fmt"
	"maps"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zamqp/amqpproto"

	"github.com/streadway/amqp"
)

// embeddedScheme is the url of a connection to the broker of this process;
// "embedded/vhost" names a virtual host.
const embeddedScheme = "embedded"

// brokerURL is a broker's URL, split into its parts.
type brokerURL struct {
	uri      amqp.URI
	password bool              // the URL has one
	query    map[string]string // the part after the ?
}

// agrees reports whether two URLs may be nodes of one connection.
func (u *brokerURL) agrees(v *brokerURL) bool {
	return u.uri.Username == v.uri.Username && u.uri.Password == v.uri.Password && u.uri.Vhost == v.uri.Vhost &&
		maps.Equal(u.query, v.query)
}

// parseURL parses a broker's URL. Its errors never quote the URL. Those of net/url do,
// and would show a password that has an unescaped / or # in it.
func parseURL(url string) (*brokerURL, error) {
	scheme, _, _ := strings.Cut(url, ":")
	switch {
	case url == embeddedScheme || strings.HasPrefix(url, embeddedScheme+"/"):
		vhost, err := neturl.PathUnescape(strings.TrimPrefix(url[len(embeddedScheme):], "/"))
		if err != nil {
			return nil, errors.New(`not a virtual host: write "embedded" or "embedded/vhost", with %XX for / and %`)
		}
		return &brokerURL{uri: amqp.URI{Scheme: embeddedScheme, Vhost: vhost}}, nil
	case scheme != "amqp" && scheme != "amqps":
		return nil, errors.New(`not a broker's URL: write "amqp://user:password@host:5672/vhost", or "embedded" for a broker in this process`)
	}
	u := &brokerURL{}
	var err error
	u.uri, err = amqp.ParseURI(url)
	if err != nil || u.uri.Port < 1 || u.uri.Port > 65535 {
		return nil, errors.New(`not a URL: write "amqp://user:password@host:5672/vhost", with %XX for / # ? @ : % and spaces in user, password and vhost`)
	}
	if len(u.uri.Vhost) > amqpproto.ShortstrMax {
		return nil, errors.New("the name of a virtual host has at most 255 octets")
	}
	parts, err := neturl.Parse(url)
	if err != nil { // ParseURI has parsed it
		return nil, errors.New("not a URL")
	}
	if parts.Fragment != "" {
		return nil, errors.New("not a broker's URL: a # in a password is written %23")
	}
	if parts.User != nil {
		if _, u.password = parts.User.Password(); !u.password {
			u.uri.Password = "" // and not guest
		}
	}
	u.query, err = parseQuery(parts.RawQuery)
	return u, err
}

// parseQuery reads the part of a URL after the ?.
func parseQuery(raw string) (map[string]string, error) {
	values, err := neturl.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the part after the ? is not name=value&name=value: write %XX for special characters")
	}
	query := map[string]string{}
	for name, list := range values {
		if len(list) > 1 {
			return nil, fmt.Errorf("?%s= is there twice: remove one", name)
		}
		query[name] = list[0]
	}
	return query, nil
}

// queryOptions maps RabbitMQ's URI query parameters to our keys:
// https://www.rabbitmq.com/uri-query-parameters.html. Unlike in its Erlang client, the
// broker's certificate is verified unless the parameters say otherwise.
var queryOptions = map[string]struct {
	key string
	set func(n *Connection, value string) error
}{
	"heartbeat": {"heartbeat", func(n *Connection, value string) error {
		s, err := queryNumber(value, 0, 65535)
		n.Heartbeat = time.Duration(s) * time.Second
		return err
	}},
	"connection_timeout": {"handshake_timeout", func(n *Connection, value string) error {
		ms, err := queryNumber(value, 100, 3600000)
		n.HandshakeTimeout = time.Duration(ms) * time.Millisecond
		return err
	}},
	"channel_max": {"channel_max", func(n *Connection, value string) (err error) {
		n.ChannelMax, err = queryNumber(value, 1, 65535)
		return err
	}},
	"cacertfile": {"ca_file", func(n *Connection, value string) error { n.CAFile = value; return nil }},
	"certfile":   {"cert_file", func(n *Connection, value string) error { n.CertFile = value; return nil }},
	"keyfile":    {"key_file", func(n *Connection, value string) error { n.KeyFile = value; return nil }},
	"verify": {"verify", func(n *Connection, value string) error {
		n.Verify = value != "verify_none"
		if n.Verify && value != "verify_peer" {
			return errors.New("it is verify_peer or verify_none")
		}
		return nil
	}},
	"server_name_indication": {"server_name", func(n *Connection, value string) error {
		if n.ServerName = value; value == "disable" || value == "" {
			return errors.New("name the host that the certificate is for, or write verify=verify_none")
		}
		return nil
	}},
	"auth_mechanism": {"mechanism", func(n *Connection, value string) error {
		n.Mechanism = strings.ToUpper(value)
		switch n.Mechanism {
		case "PLAIN", "AMQPLAIN", "EXTERNAL":
			return nil
		}
		return errors.New("it is plain, amqplain or external")
	}},
}

func queryNumber(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return low, fmt.Errorf("it is a number from %d to %d", low, high)
	}
	return n, nil
}

// query applies the part of a URL after the ?.
func (c *checker) query(key string, n *Connection, u *brokerURL) {
	at := key + ".url"
	for _, name := range slices.Sorted(maps.Keys(u.query)) {
		option, known := queryOptions[name]
		if !known {
			text := "unknown"
			if best := nearest(name, slices.Sorted(maps.Keys(queryOptions))); best != "" {
				text += fmt.Sprintf("; did you mean %s?", best)
			} else {
				text += ": there are " + strings.Join(slices.Sorted(maps.Keys(queryOptions)), ", ")
			}
			c.fail(at, "", fmt.Sprintf("?%s=: %s", name, text))
			continue
		}
		if _, set := c.settings.origins[key+"."+option.key]; set {
			c.fail(at, "", fmt.Sprintf("?%s=: %s.%s is set, too: remove one", name, key, option.key))
			continue
		}
		if err := option.set(n, u.query[name]); err != nil {
			c.fail(at, "", fmt.Sprintf("?%s=: %v", name, err))
		}
	}
}
