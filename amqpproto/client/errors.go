package client

import (
	"errors"
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

var (
	// ErrClosed is what Publish returns, and a waiting publish gets, after Close.
	ErrClosed = errors.New("amqp client: closed")

	// ErrPublishMax says that the unconfirmed and unsent publishes hold all the
	// memory they may. Nothing of the refused publish was kept.
	ErrPublishMax = errors.New("amqp client: too many unconfirmed publishes: wait for confirms, or raise publish_max")

	// ErrNacked says that the broker took the publish and could not handle it,
	// as a full queue with overflow reject-publish does.
	ErrNacked = errors.New("amqp client: the broker refused the message (basic.nack)")

	// ErrConfirmTimeout says that the publish had no outcome in time. One that had
	// not left by then is never sent; one that had may still reach its queue.
	ErrConfirmTimeout = errors.New("amqp client: no confirm in time")

	// ErrReplyTimeout is the outcome of a request whose reply did not come in time.
	ErrReplyTimeout = errors.New("amqp client: no reply in time")

	// ErrBusy says that as many gets or admin requests wait for the broker's answer as
	// may.
	ErrBusy = errors.New("amqp client: too many gets and admin requests wait for the broker's answer: ask less often")

	// ErrConnected is the cause given to a wire that was handed to Connect while
	// the client already had one.
	ErrConnected = errors.New("amqp client: already connected")
)

// ReturnError is the outcome of a mandatory publish that no queue took.
type ReturnError struct {
	Code                 uint16 // 312 NO_ROUTE as a rule
	Text                 string
	Exchange, RoutingKey string
}

func (e *ReturnError) Error() string {
	s := fmt.Sprintf("amqp client: message returned: %d %s: ", e.Code, e.Text)
	switch {
	case e.Code != amqpproto.NoRoute:
		return s + fmt.Sprintf("by exchange %q for routing key %q", e.Exchange, e.RoutingKey)
	case e.Exchange == "":
		return s + fmt.Sprintf("there is no queue %q: declare it, or check its name and the vhost", e.RoutingKey)
	}
	return s + fmt.Sprintf("no queue is bound to exchange %q for routing key %q: bind one", e.Exchange, e.RoutingKey)
}

// LostError is the outcome of a publish, request, get or admin request whose connection ended
// before the broker's answer came, or of one that had none. A publish may or may
// not have reached its queue.
type LostError struct {
	Connection string
	Cause      error // nil before the first connection
}

func (e *LostError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("amqp client: connection %q is not open", e.Connection)
	}
	return fmt.Sprintf("amqp client: connection %q was lost before the broker's answer: %v", e.Connection, e.Cause)
}

func (e *LostError) Unwrap() error { return e.Cause }

// ReplyLostError is the outcome of a request whose channel ended, for another request as
// a rule, before its reply came. The request may or may not have been handled.
type ReplyLostError struct {
	Connection string
	Cause      error // what ended the channel; nil if that is another request's error
}

func (e *ReplyLostError) Error() string {
	cause := "the broker closed the channel of the requests for another request"
	if e.Cause != nil {
		cause = e.Cause.Error()
	}
	return fmt.Sprintf("amqp client: connection %q: the reply was lost, and it is not known whether the request was handled: %s",
		e.Connection, cause)
}

func (e *ReplyLostError) Unwrap() error { return e.Cause }

// ConnectError says why a connection never opened, as far as it got, and what
// may help. It never shows the password.
type ConnectError struct {
	Connection, User, Vhost string
	State                   string // how far it got: greeting, login, opening of the vhost
	Remedy                  string // may be empty
	Err                     error
}

func (e *ConnectError) Error() string {
	s := fmt.Sprintf("amqp connection %q", e.Connection)
	if e.User != "" { // else it is in a certificate
		s += fmt.Sprintf(" as user %q", e.User)
	}
	s += fmt.Sprintf(" to vhost %q: in the %s: %v", e.Vhost, e.State, e.Err)
	if e.Remedy != "" {
		s = strings.TrimSuffix(s, ".") + ": " + e.Remedy
	}
	return s
}

func (e *ConnectError) Unwrap() error { return e.Err }

// TopologyError says which declaration of a consumer or producer failed.
type TopologyError struct {
	Name string // of the consumer or producer; empty for a Declare
	Step string // such as `queue.declare "billing"`
	Err  error

	// Of a 406, the argument that differs from what exists, as the broker words
	// them. Empty where it is about something else.
	Argument, Received, Current string
	Remedy                      string // what to do; may be empty
}

func (e *TopologyError) Error() string {
	s := fmt.Sprintf("%s: %v", e.Step, e.Err)
	if e.Name != "" {
		s = e.Name + ": " + s
	}
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

func (e *TopologyError) Unwrap() error { return e.Err }

// connectionError is a violation that ends the connection with code.
func connectionError(code uint16, id amqpproto.MethodID, format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: code, Text: fmt.Sprintf(format, args...), Method: id}
}

// unexpected names the state and what came in it. 503 COMMAND_INVALID is the
// spec's code for a method out of its sequence.
func unexpected(state fmt.Stringer, id amqpproto.MethodID) error {
	return connectionError(amqpproto.CommandInvalid, id, "%s: unexpected %s", state, id)
}
