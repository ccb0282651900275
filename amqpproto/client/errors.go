package client

import (
	"errors"
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

var (
	// ErrClosed is returned by Publish after Close, and is the outcome of a publish that
	// waited when the client was closed.
	ErrClosed = errors.New("amqp client: closed")

	// ErrPublishMax says that waiting and unconfirmed publishes have reached
	// Config.PublishMax. Nothing of the refused publish was kept.
	ErrPublishMax = errors.New("amqp client: too many unconfirmed publishes: wait for confirms, or raise publish_max")

	// ErrNacked says that the broker refused the publish with basic.nack, for example
	// because a queue with overflow reject-publish is full.
	ErrNacked = errors.New("amqp client: the broker refused the message (basic.nack)")

	// ErrConfirmTimeout says that the publish had no outcome in time. If it was not sent
	// by then, it is never sent; if it was, it may still reach its queue.
	ErrConfirmTimeout = errors.New("amqp client: no confirm in time")

	// ErrReplyTimeout is the outcome of a request whose reply did not come in time.
	ErrReplyTimeout = errors.New("amqp client: no reply in time")

	// ErrBusy says that too many gets, admin requests or requests wait for an answer.
	ErrBusy = errors.New("amqp client: too many gets and admin requests wait for the broker's answer: ask less often")

	// ErrConnected is the cause with which a second wire is aborted: Connect was called
	// while the client already had one.
	ErrConnected = errors.New("amqp client: already connected")
)

// ReturnError is the outcome of a mandatory publish that no queue took.
type ReturnError struct {
	Code                 uint16 // usually 312 NO_ROUTE
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

// LostError is the outcome of a publish, request, get or admin request whose
// connection ended before the broker's answer came, or that had no connection. A
// publish may or may not have reached its queue.
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

// ReplyLostError is the outcome of a request whose channel ended before its reply came,
// usually because of another request. The request may or may not have been handled.
type ReplyLostError struct {
	Connection string
	Cause      error // what ended the channel; nil if another request's error did
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

// ConnectError says why a connection never opened, how far it got, and what may help.
// It never contains the password.
type ConnectError struct {
	Connection, User, Vhost string
	State                   string // how far the connection got: greeting, login, opening of the vhost
	Remedy                  string // may be empty
	Err                     error
}

func (e *ConnectError) Error() string {
	s := fmt.Sprintf("amqp connection %q", e.Connection)
	if e.User != "" { // otherwise the certificate names the user
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
	Name string // name of the consumer or producer; empty for a Declare
	Step string // such as `queue.declare "billing"`
	Err  error

	// For a 406 error, the argument that differs from what exists, as the broker writes
	// it. Empty if the error is about something else.
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

// connectionError returns the error for a protocol violation that ends the connection.
func connectionError(code uint16, id amqpproto.MethodID, format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: code, Text: fmt.Sprintf(format, args...), Method: id}
}

// unexpected returns the error for a method that is not allowed in this state. 503
// COMMAND_INVALID is the spec's code for it.
func unexpected(state fmt.Stringer, id amqpproto.MethodID) error {
	return connectionError(amqpproto.CommandInvalid, id, "%s: unexpected %s", state, id)
}
