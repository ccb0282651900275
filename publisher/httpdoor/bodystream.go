package httpdoor

import (
	"errors"
	"net/http"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// For a body that streams, [publisher.BodyReserve] is reserved from its first octet to the end of
// its call, whatever has come of it. So it never waits for memory that other bodies use, and
// other bodies never wait for a client that sends slowly.

// shortBody is the length up to which a mounted handler gets its body whole.
const shortBody = 64 << 10

// chooseStreaming decides by the head of an admitted request whether its body streams.
func (x *exchange) chooseStreaming(h *http1.Head) {
	if h.ContentLength > x.BodyMax() {
		return // the machine refuses it
	}
	switch x.call.BodyStreaming() {
	case publisher.BodyStreams:
		x.stream()
	case publisher.BodyMayStream:
		switch {
		case h.Expect100: // the handler decides whether it wants the body
			x.stream()
		case h.Chunked, h.ContentLength > shortBody:
			x.undecided = true
		}
	}
}

// decide streams a body that may stream and has not come whole with the head. failed is the error
// that the machine's Feed has returned.
func (x *exchange) decide(failed error) {
	x.undecided = false
	if failed == nil && x.call != nil && !x.gone {
		x.stream()
	}
}

// stream dispatches the call before its body is here.
func (x *exchange) stream() {
	b := &x.door.bodies
	b.read(x)
	more := max(0, publisher.BodyReserve-x.body.octets)
	b.held += more
	x.body.octets += more
	x.busy, x.streams = true, true
	x.Conn.Stream()
	x.call.StreamBody(x)
	x.door.server.Dispatch(x.call, x)
}

// BodyMax is the largest body that the call takes, in octets.
func (x *exchange) BodyMax() int64 {
	if n := x.call.BodyMax(); n > 0 {
		return n
	}
	return x.door.http.BodyMax()
}

// Room is how much of the body the call takes now. If it is 0, the door stops reading the client.
func (x *exchange) Room() int {
	n := x.call.BodyRoom()
	if n <= 0 && !x.held {
		x.held = true
		x.wire.Pause(true)
	}
	return n
}

// resume lets the client be read again after Room has returned 0.
func (x *exchange) resume() {
	if x.held {
		x.held = false
		if !x.gone {
			x.wire.Pause(false)
		}
	}
}

// Trailer keeps a field that follows the body for the handler.
func (x *exchange) Trailer(f *http1.Field) { x.call.AddTrailer(f.Name, f.Value) }

// endStream ends the body of a call that runs.
func (x *exchange) endStream() {
	x.resume()
	x.call.EndBody()
	x.cancelled()
}

// cutBody tells a running call that the rest of its body does not come, and why.
func (x *exchange) cutBody(cause error) {
	if !x.streams {
		return
	}
	status := 0
	if e := (*http1.Error)(nil); errors.As(cause, &e) {
		if status = e.Status; status == http.StatusRequestTimeout {
			cause = errors.New("the body comes too slowly")
		}
	}
	x.call.CutBody(status, cause, x.BodyMax())
}

// Continue sends 100 Continue, if the client waits for it.
func (x *exchange) Continue(*publisher.Call) { x.Conn.Continue() }

// Resume continues to read a body for which there is room again.
func (x *exchange) Resume(*publisher.Call) {
	x.resume()
	x.More()
}

// Keep counts octets that a call keeps of a body that streams.
func (x *exchange) Keep(_ *publisher.Call, n int) error {
	if !x.door.bodies.take(int64(n)) {
		return publisher.Errorf(http.StatusServiceUnavailable, tooManyBodies)
	}
	x.body.octets += int64(n)
	return nil
}

// Duplex says that the body is read on after the answer has begun.
func (x *exchange) Duplex(*publisher.Call) { x.SetDuplex() }

var _ publisher.BodyDoor = (*exchange)(nil)
