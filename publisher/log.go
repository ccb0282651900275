package publisher

import (
	"log/slog"
	"strings"

	"github.com/rs/zerolog"
)

// Log returns the server's log for lines about this call. Each line has the handler, and the
// [Request.RequestID] or the request's X-Request-Id, the message's id and attempt, and the ids of the
// call's span if it is traced. Call Log on the handler's own
// goroutine; the result may be used on any goroutine and after the call:
//
//	log := r.Log()
//	err := r.Offload(func() error { log.Info().Msg("on its way"); … })
func (r *Request) Log() *zerolog.Logger {
	log := &r.server.log
	if own := r.server.options.CallLog; own != nil {
		log = own
	}
	c := log.With()
	if r.label != nil {
		c = c.Str("handler", *r.label)
	}
	if r.span != nil {
		c = r.spanFields(c)
	}
	made := r.source.identify(r, c).Logger()
	return &made
}

// foreign returns a text of the other side, shortened and as valid UTF-8, for a field of the
// log; the log quotes it.
func foreign(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), requestIDMax)]), "?")
}

// Slog is [Request.Log] for log/slog, so that all lines of the process look alike.
func (r *Request) Slog() *slog.Logger {
	return slog.New(zerolog.NewSlogHandler(*r.Log()))
}
