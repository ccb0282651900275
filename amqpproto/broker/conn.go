package broker

import "time"

// Conn is a client's connection. It has the shape of the loop's Peer.
type Conn struct {
	server *Server
	wire   Wire
	vhost  *vhost
	user   *account
	next, prev *Conn // of all connections
}

// Feed takes whole frames from in, as many as there are.
func (c *Conn) Feed(in []byte) (n int, err error) { return 0, nil }

// Pending returns all octets to send.
func (c *Conn) Pending() []byte { return nil }

// Sent forgets the first n octets of Pending.
func (c *Conn) Sent(n int) {}

// Tick moves time on.
func (c *Conn) Tick(now time.Time) (next time.Time) { return time.Time{} }

// Lost ends the Conn.
func (c *Conn) Lost(cause error) {}
