// Package wsclient is a WebSocket client for tests that knows nothing: it sends the frames
// that the test says, right or wrong, and returns those that come.
package wsclient

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Opcodes of frames.
const (
	Continuation = 0
	Text         = 1
	Binary       = 2
	Close        = 8
	Ping         = 9
	Pong         = 10
)

// Fin marks the last frame of a message: Fin | Text.
const Fin = 0x80

// patience only bounds a hang.
const patience = time.Minute

// Conn is a connection.
type Conn struct {
	net.Conn
	t        testing.TB
	in       *bufio.Reader
	Response *http.Response // to the handshake
}

// Ask sends a handshake to a URL with the scheme http or https. fields are further header
// fields; one replaces the field of the same name. It returns the response, whatever it is.
func Ask(t testing.TB, url string, fields ...string) *Conn {
	t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	address, path, _ := strings.Cut(rest, "/")
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "https" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	head := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if head.Del(name); value != "" {
			head.Set(name, value)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET /%s HTTP/1.1\r\nHost: %s\r\n", path, address)
	_ = head.Write(&b)
	c := &Conn{Conn: nc, t: t, in: bufio.NewReader(nc)}
	c.Send(b.String() + "\r\n")
	if c.Response, err = http.ReadResponse(c.in, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// Dial is Ask for a handshake that succeeds.
func Dial(t testing.TB, url string, fields ...string) *Conn {
	t.Helper()
	c := Ask(t, url, fields...)
	if c.Response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(c.Response.Body)
		t.Fatalf("%s: %s: %s", url, c.Response.Status, body)
	}
	return c
}

// Send sends octets as they are.
func (c *Conn) Send(octets string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, octets); err != nil {
		c.t.Fatal(err)
	}
}

// Frame returns a masked frame. first is its first octet.
func Frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0xa1, 0xb2, 0xc3, 0xd4}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return string(b)
}

// Say sends a text.
func (c *Conn) Say(text string) {
	c.t.Helper()
	c.Send(Frame(Fin|Text, text))
}

// Shut sends a close frame.
func (c *Conn) Shut(code int, reason string) {
	c.t.Helper()
	c.Send(Frame(Fin|Close, Closing(code, reason)))
}

// Closing is the payload of a close frame.
func Closing(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// ReadFrame returns the next frame: its first octet and its payload.
func (c *Conn) ReadFrame() (first byte, payload string, err error) {
	var head [10]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return 0, "", err
	}
	length := uint64(head[1])
	switch head[1] {
	case 126:
		if _, err := io.ReadFull(c.in, head[2:4]); err != nil {
			return 0, "", err
		}
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		if _, err := io.ReadFull(c.in, head[2:10]); err != nil {
			return 0, "", err
		}
		length = binary.BigEndian.Uint64(head[2:])
	}
	p := make([]byte, length)
	_, err = io.ReadFull(c.in, p)
	return head[0], string(p), err
}

// Next returns the next message or control frame: a text as it is, others behind the name
// of their kind, a close frame as "close 1000 reason", and the end as "end".
func (c *Conn) Next() string {
	c.t.Helper()
	var message strings.Builder
	kind := ""
	for {
		first, p, err := c.ReadFrame()
		if err == io.EOF {
			return "end"
		}
		if err != nil {
			return "error " + err.Error()
		}
		switch first & 0x0f {
		case Close:
			if len(p) < 2 {
				return "close"
			}
			return strings.TrimSpace(fmt.Sprintf("close %d %s", binary.BigEndian.Uint16([]byte(p)), p[2:]))
		case Ping:
			return "ping " + p
		case Pong:
			return "pong " + p
		case Binary:
			kind = "binary "
		}
		message.WriteString(p)
		if first&Fin != 0 {
			return kind + message.String()
		}
	}
}

// Want fails unless the next messages are these.
func (c *Conn) Want(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		if got := c.Next(); got != want {
			c.t.Fatalf("got %.200q, want %.200q", got, want)
		}
	}
}
