package websocket

import (
	"fmt"
	"unicode/utf8"
)

// Close codes. RFC 6455 §7.4.1 and the registry of IANA.
const (
	CloseNormal          = 1000
	CloseGoingAway       = 1001
	CloseProtocolError   = 1002
	CloseUnsupportedData = 1003
	CloseNoStatus        = 1005 // never sent: the close frame had no code
	CloseAbnormal        = 1006 // never sent: the connection was lost without a close frame
	CloseInvalidPayload  = 1007
	ClosePolicyViolation = 1008
	CloseTooBig          = 1009
	CloseInternalError   = 1011
	CloseTryAgainLater   = 1013
)

// A CloseError says how a connection has ended.
type CloseError struct {
	Code   int
	Reason string
	Own    bool  // this side has ended it, because of what the peer has sent
	Cause  error // of CloseAbnormal; may be nil
}

// Error names the code and the reason.
func (e *CloseError) Error() string {
	how := "the peer has closed"
	switch {
	case e.Own:
		how = "closed because of an error of the peer"
	case e.Code == CloseAbnormal:
		how = "the peer is lost"
	}
	text := fmt.Sprintf("websocket: %s: %d", how, e.Code)
	if e.Reason != "" {
		text += fmt.Sprintf(" %q", e.Reason)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Cause }

// Errors of the peer. Each is made once, so that an error allocates nothing.
var (
	errReserved        = own(CloseProtocolError, "a reserved bit is set, and no extension was agreed")
	errOpcode          = own(CloseProtocolError, "unknown opcode")
	errControlFragment = own(CloseProtocolError, "a control frame is fragmented")
	errControlLong     = own(CloseProtocolError, "a control frame has more than 125 octets")
	errLength          = own(CloseProtocolError, "a length is not in its shortest form")
	errUnmasked        = own(CloseProtocolError, "a frame of a client is not masked")
	errMasked          = own(CloseProtocolError, "a frame of a server is masked")
	errContinuation    = own(CloseProtocolError, "a continuation frame without a message")
	errInterleaved     = own(CloseProtocolError, "a message begins inside another one")
	errClosePayload    = own(CloseProtocolError, "malformed close frame")
	errCloseCode       = own(CloseProtocolError, "invalid close code")
	errText            = own(CloseInvalidPayload, "a text is not UTF-8")
	errCloseText       = own(CloseInvalidPayload, "the reason of a close frame is not UTF-8")
	errFrameLong       = own(CloseTooBig, "the frame is too long")
	errMessageLong     = own(CloseTooBig, "the message is too long")
	errMemory          = own(CloseTryAgainLater, "too many messages at once")
)

func own(code int, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason, Own: true}
}

// ValidCloseCode reports whether a close frame may have this code. RFC 6455 §7.4.
func ValidCloseCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code >= 1000 && code <= 1014:
		return code != 1004 && code != CloseNoStatus && code != CloseAbnormal
	}
	return false
}

// reasonMax is the longest reason of a close frame, in octets.
const reasonMax = controlMax - 2

// cutReason shortens a reason to what a close frame has room for, between two characters. It
// replaces what is not UTF-8.
func cutReason(reason string) string {
	clean := make([]rune, 0, len(reason))
	octets := 0
	for _, c := range reason { // invalid octets become U+FFFD
		if octets += utf8.RuneLen(c); octets > reasonMax {
			break
		}
		clean = append(clean, c)
	}
	return string(clean)
}

// parseClose reads the payload of a close frame.
func parseClose(p []byte) (code int, reason string, bad *CloseError) {
	switch {
	case len(p) == 0:
		return CloseNoStatus, "", nil
	case len(p) == 1:
		return 0, "", errClosePayload
	}
	code = int(p[0])<<8 | int(p[1])
	switch {
	case !ValidCloseCode(code):
		return 0, "", errCloseCode
	case !utf8.Valid(p[2:]):
		return 0, "", errCloseText
	}
	return code, string(p[2:]), nil
}
