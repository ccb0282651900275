package publisher

import (
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// An AccessLog says whether each call gets a line in the log when it is over.
type AccessLog struct {
	Enabled bool
	// Sample is how many calls are logged: one of Sample. 0 is 1, all. Calls that fail by
	// the server's fault, or whose message is not acked, always are.
	Sample int
}

// accessText is the text of the line about a call.
const accessText = "access"

// An octetCounter is a door that knows how long an answer was that it has sent in pieces.
type octetCounter interface {
	// Octets is the length of the body of the answer that was streamed last.
	Octets() int64
}

// logAccess logs a call that is over, whatever log.level is. The outcome is known, and the answer is
// complete.
func (s *Server) logAccess(r *Request) {
	p, client := &r.response, r.source.hasClient()
	wrong := !client && r.outcome.Err != nil || client && p.Status >= http.StatusInternalServerError || p.cut
	if s.accesses++; !wrong && s.accesses%uint64(max(s.options.AccessLog.Sample, 1)) != 0 {
		return
	}
	e := s.log.Log().Str(zerolog.LevelFieldName, "info").Str("source", string(r.source.origin()))
	path := r.path
	if path == nil && r.delivered {
		s.scratch = r.message.appendPath(s.scratch[:0])
		path = s.scratch
	}
	e = e.Str("method", text(r.method)).Str("path", text(path))
	if r.label != nil {
		e = e.Str("handler", *r.label)
	}
	if client {
		e = s.logAnswer(e, r)
	}
	if r.delivered {
		e = e.Stringer("settlement", r.outcome.Settlement).Int("attempt", r.Attempt()).Str("message_id", shortened(r.props.MessageID))
		if r.outcome.Reason != "" {
			e = e.Str("given_up", r.outcome.Reason)
		}
	} else if !client {
		e = e.Bool("ok", r.outcome.Err == nil)
	}
	if e = e.Int("request_octets", r.bodyOctets()); !r.began.IsZero() {
		e = e.Float64("duration_ms", float64(time.Since(r.began).Microseconds())/1000)
	}
	if r.user != "" {
		e = e.Str("user", r.user)
	}
	if s.ids {
		e = e.Str("request_id", text(r.requestID))
	}
	if r.span != nil {
		trace, span := r.span.IDs()
		e = e.Str("trace_id", trace).Str("span_id", span)
	} else if id := r.traceID(); id != nil {
		e = e.Str("trace_id", text(id))
	}
	e.Msg(accessText)
}

// logAnswer adds what an HTTP answer is.
func (s *Server) logAnswer(e *zerolog.Event, r *Request) *zerolog.Event {
	p := &r.response
	status, octets := p.Status, int64(len(p.Body))
	switch counter, counts := r.door.(octetCounter); {
	case string(r.method) == http.MethodHead:
		octets = 0
	case r.socket.accepted():
		status, octets = http.StatusSwitchingProtocols, 0
	case (p.begun || p.stream != nil) && counts:
		octets = counter.Octets()
	}
	s.scratch = r.appendClient(s.scratch[:0])
	e = e.Str("client", text(s.scratch)).Int("status", status).Int64("answer_octets", octets)
	if p.cut || r.outcome.Err != nil && isBrokenStream(r.outcome.Err) {
		e = e.Bool("cut", true)
	}
	return e
}

// bodyOctets is the length of the request's body; of one that streams, what was declared.
func (r *Request) bodyOctets() int {
	if r.incoming != nil {
		return r.expected
	}
	return len(r.body)
}

// logRefusal logs a request that was answered before it became a call.
func (s *Server) logRefusal(r *Request) {
	if s.options.AccessLog.Enabled {
		r.began = time.Time{}
		s.logAccess(r)
	}
}

// appendClient appends the client's address without its port: what a trusted proxy says, or else
// that of the connection.
func (r *Request) appendClient(dst []byte) []byte {
	if r.client.said {
		return r.client.addr.Unmap().AppendTo(dst)
	}
	if r.remote == nil {
		return dst
	}
	if a, ok := r.remote.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().AppendTo(dst)
	}
	return append(dst, "unix"...)
}

// shortened is a text of the other side that is not too long for a line of the log. It is a view.
func shortened(b []byte) string { return text(b[:min(len(b), requestIDMax)]) }

// traceID is the id of the trace in a W3C traceparent: version-id-parent-flags; nil for none.
func (r *Request) traceID() []byte {
	var value []byte
	if r.delivered {
		f, _ := r.props.Headers.Lookup("traceparent")
		value, _ = f.Bytes()
	} else {
		value = r.HeaderBytes("Traceparent")
	}
	if len(value) < 55 || value[2] != '-' || value[35] != '-' {
		return nil
	}
	id := value[3:35]
	for _, c := range id {
		if hexDigit(c) < 0 {
			return nil
		}
	}
	return id
}
