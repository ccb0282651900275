package publisher

import (
	"net"
	"time"
)

// wrongPorts counts clients that speak TLS to a port without TLS. Loop thread only.
type wrongPorts struct {
	told   time.Time
	missed int // since then
}

// wrongPortPause is the shortest time between two log lines about such clients.
const wrongPortPause = time.Minute

// SpokeTLS logs that a client has spoken TLS to a port without TLS, at most once a minute. A
// door calls it.
func (s *Server) SpokeTLS(remote net.Addr) {
	w := &s.wrongPorts
	now := s.runtime.Now()
	if !w.told.IsZero() && now.Sub(w.told) < wrongPortPause {
		w.missed++
		return
	}
	e := s.log.Warn()
	if remote != nil {
		e = e.Stringer("remote", remote)
	}
	if w.missed > 0 {
		e = e.Int("others", w.missed)
	}
	e.Msg("a client speaks TLS to a port without TLS: give it the http:// address, or the port of http.tls.listen")
	w.told, w.missed = now, 0
}
