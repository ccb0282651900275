package broker

import "regexp"

// These check a user's permissions, as RabbitMQ does for each method. They call the default
// exchange amq.default.

func (c *Conn) mayConfigure(kind string, name []byte) error {
	if c.access == nil {
		return nil
	}
	return c.may(c.access.configure, kind, name)
}

func (c *Conn) mayWrite(kind string, name []byte) error {
	if c.access == nil {
		return nil
	}
	return c.may(c.access.write, kind, name)
}

func (c *Conn) mayRead(kind string, name []byte) error {
	if c.access == nil {
		return nil
	}
	return c.may(c.access.read, kind, name)
}

func (c *Conn) may(re *regexp.Regexp, kind string, name []byte) error {
	if kind == "exchange" && len(name) == 0 {
		name = []byte("amq.default")
	}
	if re.Match(name) {
		return nil
	}
	return refused("access to %s refused for user '%s'", c.vhost.named(kind, string(name)), c.user.name)
}
