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
	greeted int64 // when connection.start first came since then; 0 = it did not, or not since nobody answered last
}

// lost begins an absence. A connection that was used for a while leaves no credit
// to what comes next.
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

// DialTimeout is how long a dial may take now, and how long the broker may take
// to greet on a socket that we have: ProbeTimeout, and more when nobody has
// answered for long, up to HandshakeTimeout. A proxy takes connections whether
// there is a broker behind it or not.
func (c *Client) DialTimeout() time.Duration {
	away := time.Duration(c.clock.now-c.absence.since) / patienceShare
	return min(max(c.cfg.ProbeTimeout, away), c.cfg.HandshakeTimeout)
}

// nobody returns the pause behind a dial that found no broker.
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
		return c.nobody() // a socket that ends before connection.start is no better than none
	case c.absence.settling(now) && !isRefused(conn.reached, cause):
		c.backoff.down(now)
		return c.backoff.pace(c.rnd, time.Duration(now-c.absence.since))
	}
	return c.backoff.next(c.rnd, now)
}

// isRefused reports whether a handshake failed for a reason that stays, such as a
// wrong password, or for a broker that has more to do than it can. Many brokers
// answer a wrong password by hanging up.
func isRefused(reached connState, cause error) bool {
	var ce *amqpproto.ConnectionError
	told := errors.As(cause, &ce)
	return told && ce.Code == amqpproto.AccessRefused || reached == awaitTune && !told ||
		reached == awaitOpenOk && errors.Is(cause, errNoAnswer)
}

// isPassing reports whether a channel's end is that of a queue whose node is not
// there, or not yet: RabbitMQ calls it not found. One that does not exist is
// somebody's mistake.
func isPassing(cause error) bool {
	var ce *amqpproto.ChannelError
	return errors.As(cause, &ce) && ce.Code == amqpproto.NotFound &&
		!strings.Contains(ce.Text, "no queue '") && !strings.Contains(ce.Text, "no exchange '")
}
