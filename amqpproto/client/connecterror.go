package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"zamqp/amqpproto"
)

// wrongPeer is the error for a peer whose first octets show that it is not an AMQP
// 0-9-1 broker.
type wrongPeer struct{ text, remedy string }

func (e *wrongPeer) Error() string { return e.text }

// greeting checks the first octets from the peer. A broker that wants another
// version answers with its own protocol header and closes the socket (§4.2.2). Every
// other broker begins with a frame. known is false while there are too few octets
// to decide.
func greeting(in []byte) (known bool, err error) {
	const web, alert = "HTTP/", "\x15\x03" // RFC 9112 §4, RFC 8446 §5.1
	begins := func(s string) bool { return bytes.HasPrefix(in, []byte(s[:min(len(s), len(in))])) }
	switch {
	case len(in) == 0:
		return false, nil
	case in[0] == amqpproto.FrameMethod:
		return true, nil
	case begins(web):
		return len(in) >= len(web), ifKnown(in, web, "the peer is a web server, no AMQP broker",
			"check host and port: a broker's is 5672 as a rule (15672 is RabbitMQ's management page)")
	case begins(alert):
		return len(in) >= len(alert), ifKnown(in, alert, "the peer answers in TLS", "write amqps:// and the broker's TLS port (5671 as a rule)")
	case begins(amqpproto.ProtocolHeader[:4]):
		if len(in) < len(amqpproto.ProtocolHeader) {
			return false, nil
		}
		return true, &wrongPeer{fmt.Sprintf("the broker wants AMQP protocol header %d-%d-%d-%d, we speak 0-0-9-1", in[4], in[5], in[6], in[7]),
			"connect to its AMQP 0-9-1 port"}
	}
	return true, &wrongPeer{fmt.Sprintf("the peer does not speak AMQP: it begins with %q", in[:min(len(in), 32)]),
		"check that host and port are those of an AMQP 0-9-1 broker"}
}

// ifKnown returns the error for a peer that begins with mark, or nil while in is
// shorter than mark.
func ifKnown(in []byte, mark, text, remedy string) error {
	if len(in) < len(mark) {
		return nil
	}
	return &wrongPeer{text, remedy}
}

// explain adds the connection's name to err. For a connection that never opened it
// adds the settings that matter and what to do.
func (c *Conn) explain(err error) error {
	cfg := &c.client.cfg
	if c.state >= connOpen {
		return fmt.Errorf("amqp connection %q: %w", cfg.Name, err)
	}
	return &ConnectError{Connection: cfg.Name, User: cfg.Username, Vhost: cfg.Vhost, State: c.state.String(), Remedy: c.remedy(err), Err: err}
}

// remedy returns what may help a connection that did not open. Many brokers close
// the socket without an error: those without authentication_failure_close, and
// those behind a proxy.
func (c *Conn) remedy(err error) string {
	var peer *wrongPeer
	var ce *amqpproto.ConnectionError
	var code uint16
	if errors.As(err, &ce) {
		code = ce.Code
	}
	hungUp := errors.Is(err, errHungUp) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	silent := errors.Is(err, errNoAnswer)
	switch {
	case errors.As(err, &peer):
		return peer.remedy
	case c.state == awaitStart && (code == amqpproto.FrameError || hungUp || silent):
		return "check that host and port are those of an AMQP 0-9-1 broker, whether it wants TLS (amqps), and whether it takes one more connection"
	case code == amqpproto.AccessRefused && c.client.cfg.Mechanism == mechanismExternal:
		return "login refused: the certificate's name is no user of the broker: create it, or set how the broker makes a name from a certificate (RabbitMQ: ssl_cert_login_from)"
	case code == amqpproto.AccessRefused, c.state == awaitTune && hungUp:
		return "login refused: check username and password, and that the user may log in from here (RabbitMQ takes guest from localhost only)"
	case code == amqpproto.NotAllowed && strings.Contains(ce.Text, "connection limit"):
		return "close other connections, or raise the broker's limit"
	case c.state == awaitOpenOk && hungUp && c.frameMax < frameMinRabbitMQ4:
		return fmt.Sprintf("raise frame_max to 8KiB or more: RabbitMQ 4.1 and later close the socket for less (it is %d)", c.frameMax)
	case code == amqpproto.NotAllowed, code == amqpproto.InvalidPath, c.state == awaitOpenOk && hungUp:
		return "check that the vhost exists and that the user has permissions on it"
	case silent:
		return "the broker or the way to it is overloaded: try again, or raise handshake_timeout"
	}
	return ""
}

// frameMinRabbitMQ4 is the smallest frame_max that RabbitMQ 4.1 and later accept.
// With a smaller one they close the socket some seconds later, without an error.
const frameMinRabbitMQ4 = 8192

// errHungUp is the error for a stream that ended without connection.close.
var errHungUp = errors.New("the broker closed the socket without connection.close")

// errNoAnswer begins the error for a peer that did not answer in time.
var errNoAnswer = errors.New("no answer")
