package httpdoor

import (
	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// LendRoom is the room that Lend needs before a piece.
func (x *exchange) LendRoom() int { return http1.LendRoom }

// Lend sends a piece of a streamed answer from where it is. The call is woken when the client
// has taken it.
func (x *exchange) Lend(_ *publisher.Call, buf []byte, from int) error {
	if x.gone {
		return publisher.ErrGone
	}
	if _, err := x.Conn.Lend(buf, from); err != nil {
		return err
	}
	x.octets += int64(len(buf) - from)
	x.full = x.OutLen() > 0
	return nil
}

// Lent reports whether octets of the last piece still wait for the client.
func (x *exchange) Lent(*publisher.Call) bool { return x.full && !x.gone }

var _ publisher.LendDoor = (*exchange)(nil)
