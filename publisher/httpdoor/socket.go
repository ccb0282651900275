package httpdoor

import (
	"zamqp/publisher"
	"zamqp/publisher/websocket"
)

// Upgrade answers the request of a call with 101 and these lines. From then on the octets of the
// connection are those of a WebSocket, which stays on the loop. The octets that follow the
// request belong to it.
func (x *exchange) Upgrade(_ *publisher.Call, lines []byte, open func(websocket.Wire) *websocket.Conn) error {
	if x.gone {
		return publisher.ErrGone
	}
	x.Conn.Inform(101, lines)
	unsent := x.Conn.Hijack(x.door.server.Now()) // the exchange itself goes on
	x.Conn = nil
	x.socket = open((*socketWire)(x))
	x.socket.Begin(unsent)
	x.wire.Wake()
	return nil
}

// A socketWire is an exchange as the Wire of its WebSocket.
type socketWire exchange

// Wake asks for a flush, and for the kept input.
func (w *socketWire) Wake() { w.wire.Wake() }

// Close closes the connection in an orderly way.
func (w *socketWire) Close() { w.wire.Close() }

// Abort closes the connection at once.
func (w *socketWire) Abort(cause error) { w.wire.Abort(cause) }

// Reserve counts the octets of a large message among those of request bodies.
func (w *socketWire) Reserve(octets int) bool {
	b := &w.door.bodies
	if !b.take(int64(octets)) {
		return false
	}
	if octets < 0 {
		b.more(w.door.server)
	}
	return true
}

// Feed gives the input to HTTP, or to the WebSocket that its connection has become.
func (x *exchange) Feed(in []byte) (n int, err error) {
	if x.socket == nil {
		n, err = x.Conn.Feed(in)
		if x.undecided {
			x.decide(err)
		}
		if x.socket == nil || n == len(in) || err != nil {
			return n, err
		}
	}
	m, err := x.socket.Feed(in[n:])
	return n + m, err
}

// Pending is the output.
func (x *exchange) Pending() []byte {
	if x.socket != nil {
		return x.socket.Pending()
	}
	return x.Conn.Pending()
}

// Lost ends the exchange. The call of a WebSocket is not cancelled here. The WebSocket tells it,
// because the waits of the call go on for a while if the connection was closed cleanly.
func (x *exchange) Lost(cause error) {
	if x.socket == nil {
		x.Conn.Lost(cause)
		return
	}
	x.gone = true
	x.socket.Lost(cause)
	x.door.open--
	x.unlink()
}

// Shutdown drains the connection. A WebSocket ends with its call, which is told of the drain.
func (x *exchange) Shutdown() {
	if x.socket == nil {
		x.Conn.Shutdown()
	}
}

// socketEOF is called at the end of the client's input. Messages may still wait to be read, but
// the client has gone: this ends the waits of the call.
func (x *exchange) socketEOF() (more bool) {
	if more = x.socket.EOF(); more && x.busy {
		x.call.Cancel(publisher.ErrGone)
	}
	return more
}

var _ publisher.SocketDoor = (*exchange)(nil)
