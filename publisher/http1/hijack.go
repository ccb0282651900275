package http1

import "time"

// Hijack ends the machine, but not its connection. It returns a copy of the octets that
// are not sent yet. The Handler is not told. Do not call any method of the Conn after
// it. A Feed that is running takes nothing more.
func (c *Conn) Hijack(now time.Time) (unsent []byte) {
	c.srv.clock(now)
	unsent = append(unsent, c.Pending()...)
	c.flags |= flagGone | flagTaken
	c.Lost(nil)
	return unsent
}
