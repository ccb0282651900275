package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// settlementOf says how a message is settled after its handler has answered with a status. It
// is for handlers that answer as HTTP handlers do: mounted handlers and those of a route. An
// error with a status counts as that status; see [IsPermanent].
//
// A consumer's own handler that answers by [Request.Reply] knows that it handles a message.
// After its reply the message is tried again if the status is 500 or more, and acked
// otherwise, because the caller reads the status in the reply.
func settlementOf(status int) Settlement {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return SettleRetry // the same request may succeed later
	}
	switch {
	case status >= 200 && status < 300:
		return SettleAck
	case status >= 500:
		return SettleRetry
	}
	return SettleDeadLetter // also 1xx and 3xx: nothing was done, and nobody follows a redirection
}

// A keptAnswer is an answer that is a failure. Whoever asked gets it when no further
// attempt follows.
type keptAnswer struct {
	contentType string
	body        []byte
	headers     Table
}

// statusTextMax bounds the part of an answer that becomes the text of an error, in
// octets. It goes to the log and to the headers of a dead letter.
const statusTextMax = 512

// unsuccessful returns the failure that the response stands for, or nil if it is a success.
// It is for a call without an HTTP client whose handler answers as an HTTP handler does. body
// is the body of the answer.
func (r *Request) unsuccessful(status int, body []byte) error {
	p := &r.response
	switch {
	case settlementOf(status) == SettleAck, status >= 400 && status < 500 && p.commit:
		return nil
	case status < 400:
		return Permanent(fmt.Errorf("the HTTP handler answered %d %s, which is no success for a %s%s",
			status, http.StatusText(status), r.Origin(), redirection(p.headers)))
	case status >= 600:
		return fmt.Errorf("the HTTP handler answered %d, which is no status", status)
	}
	s := &StatusError{Status: status, Text: shortText(body)}
	if later, ok := tableLookup(p.headers, retryAfter); ok {
		s = s.With(retryAfter, later)
	}
	if len(r.props.ReplyTo) > 0 {
		s.answer = &keptAnswer{contentType: p.ContentType, body: append([]byte(nil), body...), headers: p.headers}
	}
	if p.unfit != nil {
		return Permanent(fmt.Errorf("%w: %w", p.unfit, s))
	}
	return s
}

func redirection(t Table) string {
	if to, ok := tableLookup(t, "Location"); ok {
		return fmt.Sprintf(" (Location: %q)", to)
	}
	return ""
}

// tableLookup finds a text in the headers of a reply; names are compared without case.
func tableLookup(t Table, name string) (string, bool) {
	for key, value := range t {
		if text, ok := value.(string); ok && strings.EqualFold(key, name) {
			return text, true
		}
	}
	return "", false
}

// shortText is the beginning of a body as a text.
func shortText(body []byte) string {
	if len(body) > statusTextMax {
		body = body[:statusTextMax]
		for len(body) > 0 && !utf8.RuneStart(body[len(body)-1]) {
			body = body[:len(body)-1]
		}
		return strings.ToValidUTF8(string(body), "?") + "…"
	}
	return strings.ToValidUTF8(string(body), "?")
}

const retryAfter = "Retry-After"

// askedDelay is the delay that a failure asks for by Retry-After, in seconds or as a
// date; 0 if it asks for none. RFC 9110 §10.2.3.
func askedDelay(err error, now time.Time) time.Duration {
	var s *StatusError
	if !errors.As(err, &s) {
		return 0
	}
	for _, f := range s.fields {
		if !strings.EqualFold(f.name, retryAfter) {
			continue
		}
		if n, err := strconv.ParseUint(f.value, 10, 31); err == nil {
			return time.Duration(n) * time.Second
		}
		if at, err := http.ParseTime(f.value); err == nil {
			return max(0, at.Sub(now))
		}
	}
	return 0
}
