package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// check checks what the type of a key does not say: addresses, URLs, and keys that limit each
// other. found are the problems so far: a key with an unreadable value must not be reported
// as missing, too.
func (s *Settings) check(found Problems) Problems {
	c := &checker{settings: s, unread: map[string]bool{}}
	for _, p := range found {
		c.unread[p.Key] = true
	}
	c.http()
	c.webSocket()
	c.site()
	c.httpTLS()
	c.broker()
	c.tracing()
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		c.connection(name, s.Connections[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Consumers)) {
		c.connectionName("consumer."+name+".connection", s.Consumers[name].Connection)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Producers)) {
		c.connectionName("producer."+name+".connection", s.Producers[name].Connection)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Clocks)) {
		if leader := s.Clocks[name].Leader; leader != "" {
			c.connectionName("clock."+name+".leader", leader)
		}
	}
	return c.problems
}

type checker struct {
	settings *Settings
	unread   map[string]bool // keys that have a problem already
	problems Problems
}

func (c *checker) fail(key, shown, text string) {
	c.problems = append(c.problems, &Problem{Origin: c.settings.origin(key), Key: key, Value: shown, Text: text})
}

// origin is where the value of a key came from.
func (s *Settings) origin(key string) Origin { return s.origins[key] }

func (c *checker) webSocket() {
	w := &c.settings.WebSocket
	for _, origin := range w.Origins {
		if err := publisher.CheckOrigin(origin); err != nil {
			c.fail("websocket.origins", show(origin), err.Error())
		}
	}
	if w.FrameMax > w.MessageMax {
		c.fail("websocket.frame_max", show(w.FrameMax.String()), fmt.Sprintf("longer than a message may be, websocket.message_max = %q: lower one or raise the other", w.MessageMax))
	}
}

func (c *checker) http() {
	h := &c.settings.HTTP
	h.Listen = slices.DeleteFunc(h.Listen, func(address string) bool { return address == "" })
	for i, address := range h.Listen {
		if err := checkListen(address); err != nil {
			c.fail("http.listen", show(address), err.Error())
		} else if slices.Contains(h.Listen[:i], address) {
			c.fail("http.listen", show(address), "listed twice: remove one")
		}
	}
	if h.TargetMax > h.HeadMax {
		c.fail("http.target_max", h.TargetMax.String(),
			fmt.Sprintf("the target is part of the head: write at most http.head_max, %s", h.HeadMax))
	}
	if strings.ContainsFunc(h.ServerName, func(r rune) bool { return r < ' ' || r > '~' }) {
		c.fail("http.server_name", show(h.ServerName), "a header field holds visible ASCII: remove the rest")
	}
	for _, network := range h.TrustedProxies {
		if _, err := publisher.ParseProxies([]string{network}, false); err != nil {
			c.fail("http.trusted_proxies", show(network), err.Error())
		}
	}
}

// site checks site.base_url, which may hold the site's id.
func (c *checker) site() {
	s := &c.settings.Site
	text, err := publisher.ExpandSite(s.BaseURL, s.ID)
	if err == nil && text != "" {
		_, err = publisher.ParseBaseURL(text)
	}
	if err != nil {
		c.fail("site.base_url", show(MaskURLs([]string{s.BaseURL})), err.Error())
	}
	c.settings.baseURL, s.BaseURL = s.BaseURL, text
}

func checkListen(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		// The kernel's sun_path has 108 octets on Linux, 104 elsewhere, with a NUL.
		if path == "" || len(path) > 103 {
			return errors.New(`a socket's path has 1 to 103 octets: write "unix:/run/zamqp.sock"`)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New(`not an address: write "host:port", ":8080" or "unix:/path"; an IPv6 host in brackets`)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port is a number from 0 to 65535")
	}
	return nil
}

// connectionName checks a name that the configuration has set. The planner checks
// those that handler packages set.
func (c *checker) connectionName(key, name string) {
	if _, set := c.settings.origins[key]; set && c.settings.Connections[name] == nil {
		c.fail(key, show(name), UnknownConnection(name, c.settings))
	}
}

// UnknownConnection is the remedy for a name that no [connection.NAME] has.
func UnknownConnection(name string, s *Settings) string {
	text := fmt.Sprintf("there is no [connection.%s]", name)
	if best := nearest(name, slices.Sorted(maps.Keys(s.Connections))); best != "" {
		return fmt.Sprintf("%s; did you mean %q?", text, best)
	}
	return text + ": add it, with its url"
}

// TooLong is the text of the problem that a name is too long for AMQP.
func TooLong(name string) string {
	return fmt.Sprintf("AMQP's names have at most %d octets, this has %d", amqpproto.ShortstrMax, len(name))
}
