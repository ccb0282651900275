package amqpproto

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reply codes, AMQP 0-9-1 §1.2 (constants). Codes of ConnectionErrors end the
// connection (hard errors), those of ChannelErrors only the channel (soft errors).
const (
	ReplySuccess       uint16 = 200
	ContentTooLarge    uint16 = 311
	NoRoute            uint16 = 312 // RabbitMQ's, in basic.return
	NoConsumers        uint16 = 313
	ConnectionForced   uint16 = 320
	InvalidPath        uint16 = 402
	AccessRefused      uint16 = 403
	NotFound           uint16 = 404
	ResourceLocked     uint16 = 405
	PreconditionFailed uint16 = 406
	FrameError         uint16 = 501
	SyntaxError        uint16 = 502
	CommandInvalid     uint16 = 503
	ChannelErrorCode   uint16 = 504 // "channel-error"; the plain name is the error type's
	UnexpectedFrame    uint16 = 505
	ResourceError      uint16 = 506
	NotAllowed         uint16 = 530
	NotImplemented     uint16 = 540
	InternalError      uint16 = 541
)

// ReplyName returns the name of a reply code as brokers write it, such as
// "NOT_FOUND", or "" for an unknown code.
func ReplyName(code uint16) string {
	switch code {
	case ReplySuccess:
		return "REPLY_SUCCESS"
	case ContentTooLarge:
		return "CONTENT_TOO_LARGE"
	case NoRoute:
		return "NO_ROUTE"
	case NoConsumers:
		return "NO_CONSUMERS"
	case ConnectionForced:
		return "CONNECTION_FORCED"
	case InvalidPath:
		return "INVALID_PATH"
	case AccessRefused:
		return "ACCESS_REFUSED"
	case NotFound:
		return "NOT_FOUND"
	case ResourceLocked:
		return "RESOURCE_LOCKED"
	case PreconditionFailed:
		return "PRECONDITION_FAILED"
	case FrameError:
		return "FRAME_ERROR"
	case SyntaxError:
		return "SYNTAX_ERROR"
	case CommandInvalid:
		return "COMMAND_INVALID"
	case ChannelErrorCode:
		return "CHANNEL_ERROR"
	case UnexpectedFrame:
		return "UNEXPECTED_FRAME"
	case ResourceError:
		return "RESOURCE_ERROR"
	case NotAllowed:
		return "NOT_ALLOWED"
	case NotImplemented:
		return "NOT_IMPLEMENTED"
	case InternalError:
		return "INTERNAL_ERROR"
	}
	return ""
}

// ConnectionError ends a connection: the peer violated the protocol, or it closed the
// connection with this reply.
type ConnectionError struct {
	Code   uint16   // reply code
	Text   string   // what happened, without the code's name; a peer's text may begin with it
	Method MethodID // the method that caused it, 0 if none did
}

// Error is for logs: "amqp: 501 FRAME_ERROR - … (basic.deliver)".
func (e *ConnectionError) Error() string {
	return "amqp: connection: " + describe(e.Code, e.Text, e.Method)
}

// ReplyText returns the text for the wire in RabbitMQ's form, "NAME - text",
// cut to what a short string holds.
func (e *ConnectionError) ReplyText() string { return replyText(e.Code, e.Text) }

// CloseMethod returns the connection.close that tells the peer.
func (e *ConnectionError) CloseMethod() *ConnectionClose {
	return &ConnectionClose{ReplyCode: e.Code, ReplyText: []byte(e.ReplyText()),
		ClassID: e.Method.Class(), MethodID: e.Method.Method()}
}

// Err returns the error that a received connection.close stands for. The text
// is copied.
func (m *ConnectionClose) Err() *ConnectionError {
	return &ConnectionError{Code: m.ReplyCode, Text: string(m.ReplyText), Method: NewMethodID(m.ClassID, m.MethodID)}
}

// ChannelError ends one channel; the connection and its other channels go on.
type ChannelError struct {
	Code    uint16
	Text    string
	Method  MethodID
	Channel uint16 // 0 if not known where the error was made
}

// Error is for logs: "amqp: channel 3: 404 NOT_FOUND - … (queue.declare)".
func (e *ChannelError) Error() string {
	return "amqp: channel " + strconv.Itoa(int(e.Channel)) + ": " + describe(e.Code, e.Text, e.Method)
}

// ReplyText is that of [ConnectionError.ReplyText].
func (e *ChannelError) ReplyText() string { return replyText(e.Code, e.Text) }

// CloseMethod returns the channel.close that tells the peer.
func (e *ChannelError) CloseMethod() *ChannelClose {
	return &ChannelClose{ReplyCode: e.Code, ReplyText: []byte(e.ReplyText()),
		ClassID: e.Method.Class(), MethodID: e.Method.Method()}
}

// Err returns the error that a received channel.close stands for. The text is
// copied; a close method does not carry its channel, so the caller names it.
func (m *ChannelClose) Err(channel uint16) *ChannelError {
	return &ChannelError{Code: m.ReplyCode, Text: string(m.ReplyText), Method: NewMethodID(m.ClassID, m.MethodID), Channel: channel}
}

// EncodeError says that a value of the caller cannot be encoded. Nothing was appended.
type EncodeError struct {
	What string // the value: `basic.publish: exchange`, `table field "x"`
	Text string // what is wrong
}

func (e *EncodeError) Error() string { return "amqp: " + e.What + ": " + e.Text }

func describe(code uint16, text string, id MethodID) string {
	s := strconv.Itoa(int(code)) + " " + nameText(code, text)
	if id != 0 {
		s += " (" + id.String() + ")"
	}
	return s
}

// nameText puts the code's name before the text, unless the text begins with it, as
// RabbitMQ's texts do.
func nameText(code uint16, text string) string {
	name := ReplyName(code)
	switch {
	case name == "" || strings.HasPrefix(text, name):
		return text
	case text == "":
		return name
	}
	return name + " - " + text
}

func replyText(code uint16, text string) string {
	s := nameText(code, text)
	if len(s) <= ShortstrMax {
		return s
	}
	const more = "..." // RabbitMQ writes this if something is missing
	n := ShortstrMax - len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

// The errors below have their own functions, so that the paths without errors stay small
// enough to be inlined, and allocate nothing.

func frameError(format string, args ...any) error {
	return &ConnectionError{Code: FrameError, Text: fmt.Sprintf(format, args...)}
}

func syntaxError(format string, args ...any) error {
	return &ConnectionError{Code: SyntaxError, Text: fmt.Sprintf(format, args...)}
}

// argsCut returns a 501, which is RabbitMQ's answer to arguments that it cannot read.
func argsCut(id MethodID, name string) error {
	return &ConnectionError{Code: FrameError, Text: "arguments end inside " + name, Method: id}
}

func argsTrail(id MethodID, n int) error {
	return &ConnectionError{Code: FrameError, Text: fmt.Sprintf("%d octets after the last argument", n), Method: id}
}

func argTooLong(id MethodID, name string, have int, most uint64) error {
	return &EncodeError{What: id.String() + ": " + name, Text: tooLong(have, most)}
}

func tooLong(have int, most uint64) string {
	return fmt.Sprintf("%d octets, at most %d fit", have, most)
}
