package httpdoor

import (
	"net"
	"net/http"

	"zamqp/publisher"
)

// A detacher is a wire that can give its socket away; see [zamqp/loop.Conn].
type detacher interface {
	Detach() (nc net.Conn, rest []byte, err error)
}

// Hijack takes the connection from the loop and gives it to the handler of the call. It
// counts as open until Closed is called.
func (x *exchange) Hijack(*publisher.Call) (publisher.Hijacked, error) {
	wire, ok := x.wire.(detacher)
	switch {
	case !ok:
		return publisher.Hijacked{}, http.ErrNotSupported
	case x.gone:
		return publisher.Hijacked{}, publisher.ErrGone
	}
	nc, rest, err := wire.Detach()
	if err != nil {
		return publisher.Hijacked{}, err
	}
	x.door.hijacked++
	return publisher.Hijacked{Conn: nc, Read: rest, Unsent: x.unsent, Closed: x.door.hijackedClosed}, nil
}

// unsent ends the exchange and returns the output that was not sent yet.
func (x *exchange) unsent() []byte {
	x.gone = true
	out := x.Conn.Hijack(x.door.server.Now())
	x.unlink()
	return out
}

func (d *Door) hijackedClosed() {
	d.hijacked--
	d.open--
}

var _ publisher.HijackDoor = (*exchange)(nil)
