package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// ErrConflict says that the call lost a race against another call, for example because that
// one has changed the same row. The call is run again at once, up to conflict_retries times.
// Then it fails: an HTTP request with 409, and for a message it is a temporary failure. Wrap
// it with %w to say what the conflict was about.
var ErrConflict = errors.New("conflict")

// ErrUnavailable is wrapped by every error of a commit that could not hand its publishes to
// the broker: a publish was returned or nacked, the connection was lost, a deadline passed,
// or a buffer was full. An HTTP client gets 503, and only the log has the reason. For a
// message it is a temporary failure.
var ErrUnavailable = errors.New("unavailable")

// ErrContentType says that there is no codec for a body's content type. An HTTP client gets
// 415; a message goes to the dead-letter queue.
var ErrContentType = errors.New("no codec for content type")

// ErrOver is the error of a call's methods after the call is over.
var ErrOver = errors.New("the call is over")

// ErrSent is the error of methods that come too late in a [Request.Stream]: the call has
// committed, and its answer has begun.
var ErrSent = errors.New("the answer has begun already")

// ErrGone ends a wait of a call whose client has gone.
var ErrGone = errors.New("the client has gone")

// ErrShutdown ends a wait of a call that the server's drain cut off.
var ErrShutdown = errors.New("the server shuts down")

// ErrNotServing is the error of a [Publish] while no server runs in this process, or in an
// [OnStart] function, for which the server waits.
var ErrNotServing = errors.New("the server does not serve")

// ErrOnLoop is the error of a [Publish] in a handler that runs on the loop's thread. Waiting
// for the loop there would hold it up for ever. Use [Request.Publish].
var ErrOnLoop = errors.New("called in a handler on the loop's thread: use r.Publish, which is a part of the call's transaction")

// ErrUnknownOutcome says that a [Publish] was started and that the wait for its outcome was
// ended. The broker may have the message, or may still get it.
var ErrUnknownOutcome = errors.New("whether the broker has the message is not known")

// ErrDraining ends the context of a [Request.Stream], and its wait, when the
// server begins to drain. What the stream writes still arrives: it may say
// goodbye and return nil, or return the error, which cuts the answer.
var ErrDraining = errors.New("the server drains")

// A StatusError is an error with an HTTP status and a text for the client. For a message a
// 4xx is a permanent failure, except 408, 409, 425 and 429.
type StatusError struct {
	Status int
	Text   string
	Cause  error // the cause; it goes to the log, not to the client; may be nil

	fields []answerField
	answer *keptAnswer // the handler's answer, if the error was made from one
}

// An answerField is a header field that an error gives to its answer.
type answerField struct{ name, value string }

// With returns a copy of the error with a header field for the answer, such as Retry-After or
// WWW-Authenticate. It replaces an earlier value. For a message the reply's headers table
// gets it.
func (e *StatusError) With(name, value string) *StatusError {
	with := *e
	with.fields = append(slices.Clip(with.fields), answerField{name, value})
	return &with
}

func (e *StatusError) Error() string {
	text := e.Text
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Cause != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, text, e.Cause)
	}
	return fmt.Sprintf("%d %s", e.Status, text)
}

func (e *StatusError) Unwrap() error { return e.Cause }

// Errorf returns an error whose text the client may read. Its With adds header
// fields to the answer.
func Errorf(status int, format string, args ...any) *StatusError {
	return &StatusError{Status: status, Text: fmt.Sprintf(format, args...)}
}

// Permanent marks an error as permanent: trying again would not help, so the message goes to
// the dead-letter queue at once. For HTTP it changes nothing. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ error }

func (e *permanent) Unwrap() error { return e.error }

// A DecodeError says that a body does not fit its content type, or not the value to decode
// into. An HTTP client gets 400; a message goes to the dead-letter queue.
type DecodeError struct {
	ContentType string
	Cause       error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("the body is no valid %s: %v", e.ContentType, e.Cause)
}

func (e *DecodeError) Unwrap() error { return e.Cause }

// A PanicError is the failure of a call whose handler panicked.
type PanicError struct {
	Value any
	Stack []byte

	who string // what panicked; "" is the handler
}

func (e *PanicError) Error() string {
	who := e.who
	if who == "" {
		who = "the handler"
	}
	return fmt.Sprintf("%s panicked: %v", who, e.Value)
}

// IsPermanent reports whether an error is permanent, so that its message is not tried again.
func IsPermanent(err error) bool {
	var p *permanent
	var d *DecodeError
	if errors.As(err, &p) || errors.As(err, &d) || errors.Is(err, ErrContentType) {
		return true
	}
	var s *StatusError
	if !errors.As(err, &s) {
		return false
	}
	return s.Status >= 400 && settlementOf(s.Status) == SettleDeadLetter
}

// statusOf returns the HTTP status for a call's failure, and the text for the client. The
// text leaves out reasons that the client can do nothing about.
func statusOf(err error) (status int, text string) {
	var s *StatusError
	var d *DecodeError
	switch {
	case errors.As(err, &s) && !isFinal(s.Status): // there is no such status: the handler is wrong
	case errors.As(err, &s):
		if text = s.Text; text == "" {
			text = http.StatusText(s.Status)
		}
		return s.Status, text
	case errors.As(err, &d):
		return http.StatusBadRequest, d.Error()
	case errors.Is(err, ErrContentType):
		return http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, ErrShutdown):
		return http.StatusServiceUnavailable, ErrShutdown.Error()
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrCommitUnknown): // the error names exchanges, queues and the broker's address
		return http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable)
	case errors.Is(err, ErrConflict):
		return http.StatusConflict, http.StatusText(http.StatusConflict)
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "the call took too long"
	}
	return http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
}
