package client

import (
	"errors"
	"strings"
	"time"

	"zamqp/amqpproto"
)

// absence is what the client knows of a broker that it cannot reach, or that has
// just come back.
type absence struct {
	since   int64 // when the connection was lost, or the client made
	greeted int64 // when connection.start first came since then; 0 = it has not come since a dial last found no broker
}

// lost begins an absence. After a stable connection it also forgets when the broker
// came back last.
func (a *absence) lost(now int64, stable bool) {
	a.since = now
	if stable {
		a.greeted = 0
	}
}

// settling reports whether the broker has just come back.
func (a *absence) settling(now int64) bool {
	return a.greeted != 0 && now-a.greeted < int64(settleTime)
}

// DialTimeout is how long a dial may take now, and then how long the broker may take
// to send its greeting: ProbeTimeout, and longer, up to HandshakeTimeout, if nobody
// has answered for a long time. The greeting has a limit because a proxy accepts
// connections even when there is no broker behind it.
func (c *Client) DialTimeout() time.Duration {
	away := time.Duration(c.clock.now-c.absence.since) / patienceShare
	return min(max(c.cfg.ProbeTimeout, away), c.cfg.HandshakeTimeout)
}

// nobody returns the pause after a dial that found no broker.
func (c *Client) nobody() time.Duration {
	c.absence.greeted = 0
	return c.backoff.pace(c.rnd, time.Duration(c.clock.now-c.absence.since))
}

// pause returns how long to wait before a dial, now that conn is lost.
func (c *Client) pause(conn *Conn, cause error) time.Duration {
	now := c.clock.now
	if conn.reached == connOpen {
		c.absence.lost(now, now-c.backoff.since >= int64(stableAfter))
	}
	var peer *wrongPeer
	switch {
	case conn.reached == awaitStart && !errors.As(cause, &peer):
		return c.nobody() // a socket that ends before connection.start counts as no broker
	case c.absence.settling(now) && !isRefused(conn.reached, cause):
		c.backoff.down(now)
		return c.backoff.pace(c.rnd, time.Duration(now-c.absence.since))
	}
	return c.backoff.next(c.rnd, now)
}

// isRefused reports whether a handshake failed for a lasting reason, such as a wrong
// password, or because the broker is overloaded. Many brokers answer a wrong password
// by closing the socket.
func isRefused(reached connState, cause error) bool {
	var ce *amqpproto.ConnectionError
	told := errors.As(cause, &ce)
	return told && ce.Code == amqpproto.AccessRefused || reached == awaitTune && !told ||
		reached == awaitOpenOk && errors.Is(cause, errNoAnswer)
}

// isPassing reports whether a channel ended because the node of its queue is not
// available, which may be temporary: RabbitMQ answers 404 NOT_FOUND for it. The same code for a
// queue that does not exist has another text, and is a mistake.
func isPassing(cause error) bool {
	var ce *amqpproto.ChannelError
	return errors.As(cause, &ce) && ce.Code == amqpproto.NotFound &&
		!strings.Contains(ce.Text, "no queue '") && !strings.Contains(ce.Text, "no exchange '")
}
