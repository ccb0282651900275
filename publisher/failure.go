package publisher

import (
	"errors"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// callFailed is the text of the log line about a failed call.
const callFailed = "the call failed"

// warnOnce logs a warning once, not for every call. Any goroutine may call it.
func (s *Server) warnOnce(warned *atomic.Bool, text string) {
	if warned.CompareAndSwap(false, true) {
		s.log.Warn().Msg(text + "; this is said once")
	}
}

// failure counts a failed call and begins its log line. The event is nil if the level
// is not logged; a nil event may be used.
func (s *Server) failure(r *Request, err error, level zerolog.Level) *zerolog.Event {
	s.stats.Failures++
	e := s.log.WithLevel(level).Err(err).Stringer("call", r)
	if r.label != nil {
		e = e.Str("handler", *r.label)
	}
	if s.ids {
		e = e.Str("request_id", string(r.requestID))
	}
	if r.span != nil {
		trace, span := r.span.IDs()
		e = e.Str("trace_id", trace).Str("span_id", span)
	}
	var p *PanicError
	if errors.As(err, &p) {
		s.stats.Panics++
		e = e.Bytes("stack", p.Stack)
	}
	return e
}

func (c *consuming) fail() {
	if c != nil {
		c.failures++
	}
}
