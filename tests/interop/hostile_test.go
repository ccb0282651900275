package interop_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
)

// canary follows every bad request on the same connection. If it is answered, two readers of
// these octets could disagree about where a request starts.
const canary = "GET /hello HTTP/1.1\r\nHost: canary\r\n\r\n"

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.1 \d`)

// TestBadBytesToTheHTTPPort: each row is refused with its status, the connection
// is closed, and the canary behind it stays unanswered. RFC 9112.
func TestBadBytesToTheHTTPPort(t *testing.T) {
	s := start(t, rabbitmq.Start(t))
	const host = "Host: a\r\n"
	for _, row := range []struct {
		name, send string
		status     int
	}{
		{"both lengths", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", 400},
		{"signed length", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nabcde", 400},
		{"hexadecimal length", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\nabcde", 400},
		{"huge length", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"length beyond the limit", "POST /orders HTTP/1.1\r\n" + host + "Content-Length: 9999999999\r\n\r\n", 413},
		{"chunked not last", "POST /orders HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
		{"unknown coding", "POST /orders HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"bad chunk size", "POST /orders HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nfive\r\nabcde\r\n0\r\n\r\n", 400},
		{"chunk overrun", "POST /orders HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", 400},
		{"space before colon", "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", 400},
		{"folded field", "GET /hello HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", 400},
		{"bare LF", "GET /hello HTTP/1.1\nHost: a\n\n", 400},
		{"bare CR", "GET /hello HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", 400},
		{"NUL in a value", "GET /hello HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", 400},
		{"no host", "GET /hello HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET /hello HTTP/1.1\r\n" + host + host + "\r\n", 400},
		{"no version", "GET /hello\r\n\r\n", 400},
		{"another version", "GET /hello HTTP/2.0\r\n" + host + "\r\n", 505},
		{"long head", "GET /hello HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 70_000) + "\r\n\r\n", 431},
		{"long target", "GET /" + strings.Repeat("a", 9_000) + " HTTP/1.1\r\n" + host + "\r\n", 414},
		{"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"an AMQP header", "AMQP\x00\x00\x09\x01\r\n\r\n", 400},
	} {
		answer := exchange(t, s.addr, row.send+canary)
		if want := fmt.Sprintf("HTTP/1.1 %d ", row.status); !strings.HasPrefix(answer, want) {
			t.Errorf("%s: the answer is %.60q, want %q", row.name, answer, want)
		}
		if n := len(statusLine.FindAllString(answer, -1)); n > 1 || strings.Contains(answer, "Hello") {
			t.Errorf("%s: %d answers: %.400q", row.name, n, answer)
		}
	}
	garbage(t, s, 300)
	if got := s.status("/hello"); got != http.StatusOK {
		t.Errorf("afterwards GET /hello answers %d", got)
	}
	s.stop()
}

// exchange sends text and returns all that comes until the server closes.
func exchange(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Errorf("%.40q: write: %v", text, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.40q: the connection was not closed in order: %v", text, err)
	}
	return string(answer)
}

// garbage sends good requests with random damage, in random pieces, and hangs up.
func garbage(t *testing.T, s *server, n int) {
	t.Helper()
	seed := time.Now().UnixNano()
	rng := rand.New(rand.NewSource(seed))
	t.Logf("seed of the damage: %d", seed)
	good := []byte("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n10\r\n{\"item\":\"coffee\"\r\n1\r\n}\r\n0\r\n\r\n" + canary)
	for range n {
		bad := bytes.Clone(good)
		for range 1 + rng.Intn(4) {
			bad[rng.Intn(len(bad))] = byte(rng.Intn(256))
		}
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatalf("%v (seed %d)", err, seed)
		}
		for rest := bad[:rng.Intn(len(bad)+1)]; len(rest) > 0; {
			k := 1 + rng.Intn(len(rest))
			if _, err := conn.Write(rest[:k]); err != nil {
				break // refused already
			}
			rest = rest[k:]
		}
		_ = conn.Close()
	}
}

// TestBrokerThatTalksNonsense puts a false broker in front of the true one. It
// misbehaves in a new way at each connection, then passes everything on, a byte
// at a time. The server serves HTTP all along, and is ready in the end.
func TestBrokerThatTalksNonsense(t *testing.T) {
	front := newFront(t, rabbitmq.Start(t))
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, process.FreeAddress(t), front.url, "connection.default.backoff_min=50ms",
		"connection.default.backoff_max=100ms", "connection.default.handshake_timeout=1s")
	s.waitStatus("/hello", http.StatusOK)
	for until := time.Now().Add(patience); int(front.accepted.Load()) <= len(nonsense); time.Sleep(20 * time.Millisecond) {
		if got := s.status("/hello"); got != http.StatusOK {
			t.Fatalf("GET /hello: %d", got)
		}
		if time.Now().After(until) {
			t.Fatalf("the server gave up after %d false brokers", front.accepted.Load())
		}
	}
	s.waitReady()
	if status, _, err := newShop(s.url, 1).post(""); err != nil || status != http.StatusAccepted {
		t.Errorf("an order through the slow line: %d %v", status, err)
	}
	s.stop()
}

// start091 is a connection.start frame as RabbitMQ sends it, with an empty table.
const start091 = "\x01\x00\x00\x00\x00\x00\x25\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x00" +
	"\x00\x00\x00\x0eAMQPLAIN PLAIN\x00\x00\x00\x05en_US\xce"

// nonsense is what the false broker says, connection by connection. The last one
// says nothing at all until the handshake has timed out.
var nonsense = []string{
	"-close-",
	"AMQP\x00\x00\x08\x00",
	"HTTP/1.1 400 Bad Request\r\n\r\n",
	"\x01\x00\x00\xff\xff\xff\xff",
	"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\x00",
	"\x03\x00\x01\x00\x00\x00\x01x\xce",
	strings.Repeat("\xff", 300_000),
	start091[:20],
	start091 + "\x01\x00\x00\x00\x00\x00\x04\x00\x3c\x00\x3c\xce",
	start091 + "\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x1e\xff\xff\x00\x00\x00\x01\xff\xff\xce",
	start091 + start091,
	"-silence-",
}

// front is the false broker.
type front struct {
	url      string
	behind   string // address of the true one
	accepted atomic.Int64
}

func newFront(t *testing.T, amqpURL string) *front {
	t.Helper()
	u, err := url.Parse(amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	f := &front{behind: u.Host}
	u.Host = ln.Addr().String()
	f.url = u.String()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(conn, int(f.accepted.Add(1))-1)
		}
	}()
	return f
}

func (f *front) serve(conn net.Conn, n int) {
	defer conn.Close()
	if n >= len(nonsense) {
		f.pass(conn)
		return
	}
	switch text := nonsense[n]; text {
	case "-close-":
	case "-silence-":
		_, _ = io.Copy(io.Discard, conn) // until the other side gives up
	default:
		_, _ = io.WriteString(conn, text)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, conn)
	}
}

// pass joins conn with the true broker; what the broker says arrives byte by byte
// at first.
func (f *front) pass(conn net.Conn) {
	broker, err := net.Dial("tcp", f.behind)
	if err != nil {
		return
	}
	defer broker.Close()
	go func() {
		_, _ = io.Copy(broker, conn)
		_ = broker.Close()
	}()
	one := make([]byte, 1)
	for range 2000 {
		if _, err := broker.Read(one); err != nil {
			return
		}
		if _, err := conn.Write(one); err != nil {
			return
		}
	}
	_, _ = io.Copy(conn, broker)
}
