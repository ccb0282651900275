package http1

import (
	"errors"
	"strconv"
)

// Error is a request that was refused: what the machine answered, and why.
// Feed returns it after it has appended the answer; Gone gets it as the cause
// when the request had already been announced by Head.
type Error struct {
	Status int    // status of the answer
	Reason string // for the log and for the body of the answer
}

// Error names the status and the reason.
func (e *Error) Error() string {
	return "http1: " + strconv.Itoa(e.Status) + " " + StatusText(e.Status) + ": " + e.Reason
}

// Errors that are not sent as an answer.
var (
	// ErrUnread ends a connection whose request was answered before all of it
	// was read. The answer has been appended, with Connection: close.
	ErrUnread = errors.New("http1: answered before the request body was read: closing")
	// ErrShortAnswer aborts a connection whose answer is shorter than the
	// length given to Start: the other side must see that it is cut.
	ErrShortAnswer = errors.New("http1: the answer is shorter than its Content-Length: write all of it, or start with -1")
	// ErrLongAnswer aborts a connection whose answer is longer than the length given to
	// Start: nobody can know which of the two is right.
	ErrLongAnswer = errors.New("http1: the answer is longer than its Content-Length: write no more, or start with -1")
	// ErrWriteTimeout aborts a connection whose other side has stopped reading, or
	// reads too slowly.
	ErrWriteTimeout = errors.New("http1: the other side takes its answer too slowly or not at all: aborting")
)

// ErrTLS is the refusal of a client that begins with a TLS record.
var ErrTLS error = errMethodTLS

// Reasons for refusals. Each is one value, so that refusing allocates nothing.
var (
	// Request line, RFC 9112 §3.
	errMethod        = &Error{400, "the method is not a token followed by one space (RFC 9112 §3.1)"}
	errMethodTLS     = &Error{400, "the client speaks TLS, and this port does not: use http://, or the port for TLS"}
	errMethodLong    = &Error{501, "the method is longer than any known one (RFC 9112 §3)"}
	errTargetOctet   = &Error{400, "the request-target is empty or holds an octet that it must not (RFC 9112 §3.2)"}
	errTargetForm    = &Error{400, "the request-target has not the form that its method asks for (RFC 9112 §3.2)"}
	errTargetEscape  = &Error{400, "the path holds a percent sign without two hexadecimal digits (RFC 3986 §2.1)"}
	errTargetLong    = &Error{414, "the request-target is too long (RFC 9112 §3)"}
	errVersion       = &Error{400, "the request line does not end in a version and CRLF (RFC 9112 §2.3)"}
	errVersionMajor  = &Error{505, "only HTTP/1.1 and HTTP/1.0 are spoken here (RFC 9110 §15.6.6)"}
	errConnect       = &Error{501, "CONNECT is not supported (RFC 9110 §9.3.6)"}
	errLeadingCRLF   = &Error{400, "CR without LF before the request line (RFC 9112 §2.2)"}
	errFold          = &Error{400, "a field line begins with white space: obsolete folding (RFC 9112 §5.2)"}
	errName          = &Error{400, "a field name is not a token followed by a colon (RFC 9112 §5.1)"}
	errNameLong      = &Error{431, "a field name is too long (RFC 9110 §5.4)"}
	errValue         = &Error{400, "a field value holds a control character, bare CR or bare LF (RFC 9110 §5.5)"}
	errFields        = &Error{431, "too many field lines (RFC 9110 §5.4)"}
	errHeadLong      = &Error{431, "the head is too long (RFC 9110 §5.4)"}
	errHeadEnd       = &Error{400, "CR without LF at the end of the head (RFC 9112 §2.2)"}
	errHostMissing   = &Error{400, "the Host field is missing (RFC 9112 §3.2)"}
	errHostDuplicate = &Error{400, "more than one Host field (RFC 9112 §3.2)"}
	errHostInvalid   = &Error{400, "the host is invalid (RFC 9112 §3.2)"}
	errExpect        = &Error{417, "only 100-continue can be expected (RFC 9110 §10.1.1)"}

	// Framing, RFC 9112 §6.
	errLengthInvalid   = &Error{400, "Content-Length is not a plain decimal number (RFC 9112 §6.3)"}
	errLengthDuplicate = &Error{400, "more than one Content-Length (RFC 9112 §6.3)"}
	errLengthCoding    = &Error{400, "Content-Length together with Transfer-Encoding (RFC 9112 §6.3)"}
	errCodingVersion   = &Error{400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)"}
	errCodingFinal     = &Error{400, "Transfer-Encoding does not end in exactly one chunked (RFC 9112 §6.3)"}
	errCodingUnknown   = &Error{501, "only the chunked transfer coding is supported (RFC 9112 §6.1)"}
	errBodyLong        = &Error{413, "the body is too long (RFC 9110 §15.5.14)"}

	// Chunked coding, RFC 9112 §7.1.
	errChunkSize    = &Error{400, "a chunk size is not a plain hexadecimal number (RFC 9112 §7.1)"}
	errChunkExt     = &Error{400, "a chunk extension is malformed (RFC 9112 §7.1.1)"}
	errChunkLine    = &Error{400, "a chunk-size line is too long or does not end in CRLF (RFC 9112 §7.1)"}
	errChunkEnd     = &Error{400, "chunk data is not followed by CRLF (RFC 9112 §7.1)"}
	errChunkExcess  = &Error{400, "too much chunk framing for so little data (RFC 9112 §7.1.1)"}
	errTrailerLong  = &Error{431, "the trailer section is too long (RFC 9110 §5.4)"}
	errBodyCut      = &Error{400, "the input ended inside the request (RFC 9112 §8)"}
	errHeadTimeout  = &Error{408, "the head took too long (RFC 9110 §15.5.9)"}
	errBodyTimeout  = &Error{408, "the body comes too slowly (RFC 9110 §15.5.9)"}
	errBodyRoom     = &Error{503, "too many request bodies at once (RFC 9110 §15.6.4)"}
	errStatusAnswer = &Error{500, "refused by the application"}
)
