package websocket_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/publisher/websocket"
	"zamqp/tests/kit/wiretest"
	"zamqp/tests/kit/wsclient"
)

// Both the loop and the test wire can serve a Conn.
var (
	_ wiretest.Peer       = (*websocket.Conn)(nil)
	_ wiretest.HalfCloser = (*websocket.Conn)(nil)
)

// wire is a test wire that counts what is reserved.
type wire struct {
	*wiretest.Wire
	held, max int
}

func (w *wire) Reserve(octets int) bool {
	if w.max > 0 && octets > 0 && w.held+octets > w.max {
		return false
	}
	w.held += octets
	return true
}

// taker is a Handler that takes each message at once, and writes down what it is told.
type taker struct {
	conn  *websocket.Conn
	wire  *wire
	log   strings.Builder
	lazy  bool // it takes no message by itself
	rooms int
}

var limits = websocket.Config{MessageMax: 1000, FrameMax: 600}.WithDefaults()

func newTaker(cfg *websocket.Config) *taker { return newTakerOn(websocket.NewServer(), cfg) }

func newTakerOn(s *websocket.Server, cfg *websocket.Config) *taker {
	k := &taker{wire: &wire{Wire: wiretest.NewWire()}}
	k.conn = s.NewConn(cfg, k.wire, k)
	k.conn.Tick(wiretest.Epoch)
	return k
}

func (k *taker) Message() {
	if !k.lazy {
		k.take()
	}
}

// take takes all messages that are there.
func (k *taker) take() (n int) {
	for {
		text, p, ok := k.conn.Next()
		if !ok {
			return n
		}
		n++
		kind := "binary"
		if text {
			kind = "text"
		}
		if len(p) > 40 {
			fmt.Fprintf(&k.log, "%s %d octets\n", kind, len(p))
		} else {
			fmt.Fprintf(&k.log, "%s %q\n", kind, p)
		}
	}
}

func (k *taker) Room() { k.rooms++ }

func (k *taker) Closed(err *websocket.CloseError) {
	fmt.Fprintf(&k.log, "closed %d %q own=%t\n", err.Code, err.Reason, err.Own)
}

// sent returns the frames of the output, and sends it.
func (k *taker) sent() string {
	out := append([]byte(nil), k.conn.Pending()...)
	k.conn.Sent(len(out))
	var b strings.Builder
	for len(out) > 0 {
		op, fin, p, n := readFrame(out)
		if n == 0 {
			return b.String() + fmt.Sprintf("half a frame %q", out)
		}
		out = out[n:]
		name := map[byte]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}[op]
		if op == 8 && len(p) >= 2 {
			fmt.Fprintf(&b, "close %d %q", binary.BigEndian.Uint16(p), p[2:])
		} else if len(p) > 40 {
			fmt.Fprintf(&b, "%s %d octets", name, len(p))
		} else {
			fmt.Fprintf(&b, "%s %q", name, p)
		}
		if !fin {
			b.WriteString(" more")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readFrame reads a frame of a server.
func readFrame(b []byte) (op byte, fin bool, p []byte, n int) {
	if len(b) < 2 {
		return 0, false, nil, 0
	}
	length, at := int(b[1]), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, at = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	if len(b) < at+length {
		return 0, false, nil, 0
	}
	return b[0] & 0x0f, b[0]&0x80 != 0, b[at : at+length], at + length
}

// frame makes a frame of a client. first is its first octet.
func frame(first byte, payload string) string { return wsclient.Frame(first, payload) }

// closing is the payload of a close frame.
func closing(code int, reason string) string { return wsclient.Closing(code, reason) }

// transcript returns what a taker gets from an input, and what it sends.
func transcript(cfg *websocket.Config, chunks [][]byte) string {
	k := newTaker(cfg)
	rest, err := wiretest.FeedChunks(k.conn.Feed, chunks)
	return fmt.Sprintf("%s> %s| %d left, %v, closed %d, aborted %d, held %d", &k.log, k.sent(), len(rest), err, k.wire.Closed, k.wire.Aborted, k.wire.held)
}

// sameHoweverCut fails unless an input has the same transcript however it is cut.
func sameHoweverCut(t *testing.T, cfg *websocket.Config, input string) {
	t.Helper()
	wiretest.AllSplits(t, []byte(input), func(chunks [][]byte) string { return transcript(cfg, chunks) })
}

var errTest = errors.New("for this test")
