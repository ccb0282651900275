package publishertest

import (
	"io"

	"zamqp/publisher"
)

// RequestFrom is [Server.Request] with a body that is read while the call runs, if its route
// streams bodies ([publisher.Streaming], [publisher.HTTP]). The call gets a piece whenever it has
// nothing else to do and room for more. On other routes the body is read before the call begins.
// If body returns an error other than io.EOF, the client has gone.
func (s *Server) RequestFrom(method, target, contentType string, body io.Reader, fields ...string) Response {
	s.t.Helper()
	if contentType != "" {
		fields = append(fields, "Content-Type: "+contentType)
	}
	c := s.newRequest(method, target, "", fields)
	w := &waiter{}
	if !s.server.Admit(c) {
		w.keep(c.Response())
		s.server.Discard(c)
		return w.response
	}
	if c.BodyStreaming() == publisher.BodyWhole {
		b, err := io.ReadAll(body)
		if err != nil {
			s.t.Fatalf("publishertest: the body of a request: %v", err)
		}
		c.AppendBody(b)
	} else {
		c.StreamBody(w)
		s.feeds = append(s.feeds, &feed{call: c, to: w, body: body})
	}
	s.run(c, w)
	return w.response
}

// A feed is a body that a call gets while it runs.
type feed struct {
	call *publisher.Call
	to   *waiter
	body io.Reader
}

// feedPiece is how much of a body a call gets at once.
const feedPiece = 16 << 10

// feed gives a call that has room the next piece of its body. It reports whether there was one.
func (s *Server) feed() bool {
	for i, f := range s.feeds {
		room := 0
		if !f.to.over {
			if room = f.call.BodyRoom(); room <= 0 {
				continue
			}
		}
		if room == 0 || !f.next(make([]byte, min(room, feedPiece))) {
			s.feeds = append(s.feeds[:i], s.feeds[i+1:]...)
		}
		return true
	}
	return false
}

// next gives the call the next piece. It returns false if nothing follows.
func (f *feed) next(b []byte) bool {
	n, err := f.body.Read(b)
	if n > 0 {
		f.call.AppendBody(b[:n])
	}
	switch err {
	case nil:
		return true
	case io.EOF:
		f.call.EndBody()
	default:
		f.call.CutBody(0, err, 0)
		f.call.Cancel(publisher.ErrGone)
	}
	return false
}

// Continue implements [publisher.BodyDoor]. Nobody waits for 100 Continue here.
func (w *waiter) Continue(*publisher.Call) {}

// Resume implements [publisher.BodyDoor]; see feed.
func (w *waiter) Resume(*publisher.Call) {}

// Keep implements [publisher.BodyDoor]. There is always room.
func (w *waiter) Keep(*publisher.Call, int) error { return nil }

// Duplex implements [publisher.BodyDoor].
func (w *waiter) Duplex(*publisher.Call) {}
