package client

import (
	"errors"
	"fmt"
)

// Foresee returns why a number of publishes would fail now or wait for the broker to come
// back. octets is their total size, with exchanges, routing keys and properties. nil is no
// promise that they succeed. p may be nil.
func (c *Client) Foresee(p *Producer, count, octets int) error {
	switch {
	case c.closing:
		return ErrClosed
	case c.blocked:
		return fmt.Errorf("amqp connection %q: the broker takes no publishes (connection.blocked: %s)", c.cfg.Name, c.reason)
	case !c.Ready() && c.lastErr != nil:
		return fmt.Errorf("amqp connection %q is down: %w", c.cfg.Name, c.lastErr)
	case !c.Ready():
		return fmt.Errorf("amqp connection %q: %w", c.cfg.Name, errDown)
	case p != nil && p.Err() != nil:
		return p.Err()
	case count*entryCost+octets > c.cfg.PublishMax-c.held:
		return ErrPublishMax
	}
	return nil
}

// Fits reports whether a publish of that size fits if nothing else is held.
func (c *Client) Fits(octets int) bool { return octets+entryCost <= c.cfg.PublishMax }

var errDown = errors.New("not connected yet")
