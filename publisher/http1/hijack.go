package http1

import "time"

// Hijack ends the machine, while its connection goes on without it. It returns what
// is still to be sent, as a copy. The Handler is not told; nothing of the Conn may be
// called any more.
func (c *Conn) Hijack(now time.Time) (unsent []byte) {
	c.srv.clock(now)
	unsent = append(unsent, c.Pending()...)
	c.flags |= flagGone
	c.Lost(nil)
	return unsent
}
