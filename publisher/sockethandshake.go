package publisher

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"zamqp/publisher/http1"
)

// shake checks the client's handshake. RFC 6455 §4.2.1. ok is false if the request has been
// answered, or is to be answered with err.
func (ws *Socket) shake() (ok bool, err error) {
	r := ws.Request
	key := r.HeaderBytes("Sec-WebSocket-Key")
	switch {
	case !r.hasToken("Connection", "upgrade") || !r.hasToken("Upgrade", "websocket"):
		return false, ws.upgradeRequired("this is a WebSocket: connect with the protocol of RFC 6455")
	case string(r.HeaderBytes("Sec-WebSocket-Version")) != "13":
		return false, ws.upgradeRequired("this server speaks version 13 of the WebSocket protocol (RFC 6455)")
	case r.protocol.minor == 0:
		return false, Errorf(http.StatusBadRequest, "a WebSocket needs HTTP/1.1")
	case string(r.method) != http.MethodGet || len(r.body) > 0:
		return false, Errorf(http.StatusBadRequest, "the handshake of a WebSocket is a GET without a body")
	case !validSocketKey(key):
		return false, Errorf(http.StatusBadRequest, "Sec-WebSocket-Key is not 16 octets in base64 (RFC 6455 §4.1)")
	case !ws.originAllowed():
		return false, Errorf(http.StatusForbidden, "pages of this origin may not connect here")
	case r.server.draining:
		return false, Errorf(http.StatusServiceUnavailable, "the server shuts down: connect again").With(retryAfter, "1")
	}
	sum := sha1.Sum(append(append(make([]byte, 0, 64), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	ws.accept = base64.StdEncoding.EncodeToString(sum[:])
	for _, name := range ws.route.protocols {
		if r.offers("Sec-WebSocket-Protocol", name, false) {
			ws.protocol = name
			break
		}
	}
	return true, nil
}

// upgradeRequired answers with what the client must ask for. RFC 9110 §15.5.22.
func (ws *Socket) upgradeRequired(text string) error {
	r := ws.Request
	if err := r.text(http.StatusUpgradeRequired, text+"\n"); err != nil {
		return err
	}
	r.response.lines = append(r.response.lines, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"...)
	return nil
}

// answer returns the header lines of 101, with those of the handler.
func (ws *Socket) answer() []byte {
	ws.answerID()
	lines := append(make([]byte, 0, 256), "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	lines = append(append(lines, ws.accept...), "\r\n"...)
	if ws.protocol != "" {
		if with, err := http1.AppendField(lines, "Sec-WebSocket-Protocol", ws.protocol); err == nil {
			lines = with
		}
	}
	return append(lines, ws.response.lines...)
}

func validSocketKey(key []byte) bool {
	var octets [18]byte
	n, err := base64.StdEncoding.Strict().Decode(octets[:], key[:min(len(key), 24)])
	return err == nil && n == 16 && len(key) == 24
}

// hasToken reports whether a list in the request's header has a token, compared without
// case.
func (r *Request) hasToken(field, token string) bool { return r.offers(field, token, true) }

// offers is hasToken, with case or without.
func (r *Request) offers(field, token string, fold bool) bool {
	return slices.ContainsFunc(listOf(r.fields, field), func(item []byte) bool {
		return string(item) == token || fold && len(item) == len(token) && equalFold(item, token)
	})
}

// originAllowed reports whether the page that connects is of this host, or of an origin that is
// allowed. Without an Origin there is no page: only browsers have to send one, and other programs
// can send any.
func (ws *Socket) originAllowed() bool {
	r := ws.Request
	origin := string(r.HeaderBytes("Origin"))
	if origin == "" {
		return true
	}
	scheme, host, ok := strings.Cut(origin, "://")
	if ok && strings.EqualFold(withoutPort(scheme, host), withoutPort(scheme, r.Host())) {
		return true
	}
	return slices.ContainsFunc(r.server.socketSettings[ws.route].allowed, func(allowed string) bool { return originMatches(allowed, scheme, host) })
}

// withoutPort removes the port if it is the usual one of the scheme.
func withoutPort(scheme, host string) string {
	switch strings.ToLower(scheme) {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

func originMatches(allowed, scheme, host string) bool {
	if allowed == "*" {
		return true
	}
	wantScheme, wantHost, _ := strings.Cut(allowed, "://")
	if !strings.EqualFold(scheme, wantScheme) {
		return false
	}
	host, wantHost = withoutPort(scheme, host), withoutPort(scheme, wantHost)
	if below, wild := strings.CutPrefix(wantHost, "*"); wild {
		return len(host) > len(below) && strings.EqualFold(host[len(host)-len(below):], below)
	}
	return strings.EqualFold(host, wantHost)
}
