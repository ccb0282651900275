package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Handle("GET /tls/wait", func(r *publisher.Request) error {
		see("waiting over TLS")
		return r.Sleep(time.Hour)
	})
}

// TestDeadlinesOverTLS: a head, a body and a handler that take too long are answered as without TLS,
// and an idle connection is closed with close_notify.
func TestDeadlinesOverTLS(t *testing.T) {
	own := selfsigned.New(t)
	_, at := startTLS(t, own, "http.head_timeout=200ms", "http.idle_timeout=200ms", "http.body_rate_min=1GiB", "server.call_timeout=200ms")
	for _, row := range []struct {
		name, request string
		status        int
		text          string
	}{
		{"head", "GET /tls/call HTTP/1.1\r\nHos", 408, "the head took too long"},
		{"body", "POST /tls/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf", 408, "the body comes too slowly"},
		{"handler", "GET /tls/wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 503, "took too long"},
		{"idle", "", 0, ""},
		{"idle after a request", "GET /tls/call HTTP/1.1\r\nHost: h\r\n\r\n", 200, "https"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.name == "body" && testing.Short() {
				t.Skip("a body has five seconds to begin")
			}
			nc := dialTLS(t, at, own)
			_ = nc.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(nc, row.request)
			in := bufio.NewReader(nc)
			if row.status > 0 {
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != row.status || !strings.Contains(string(text), row.text) {
					t.Errorf("%d %s, %v", resp.StatusCode, text, err)
				}
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 { // io.ErrUnexpectedEOF is an end without close_notify
				t.Errorf("behind it: %q, %v", rest, err)
			}
		})
	}
}

// slowTLS asks for a large answer by a socket with a small buffer, and reads no more than the head.
func slowTLS(t *testing.T, at string, own selfsigned.Certificate) io.Reader {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	tcp, err := d.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	_ = tcp.SetDeadline(time.Now().Add(4 * patience))
	nc := tls.Client(tcp, &tls.Config{RootCAs: own.Pool, ServerName: "localhost"})
	fmt.Fprint(nc, "GET /tls/large HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReaderSize(nc, 512), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	return resp.Body
}

// TestSlowReadersOverTLS: fifty of them do not hold up others, and get everything when they read
// again.
func TestSlowReadersOverTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	var slow []io.Reader
	for range 50 {
		slow = append(slow, slowTLS(t, at, own))
	}
	c := httpsClient(&tls.Config{RootCAs: own.Pool})
	for range 20 {
		if _, text := ask(t, c, "https://"+at+"/tls/call"); !strings.HasPrefix(text, "https ") {
			t.Error(text)
		}
	}
	if _, text := ask(t, c, "https://"+at+"/tls/large"); len(text) != 8<<20 {
		t.Errorf("a quick client got %d octets", len(text))
	}
	for _, i := range []int{0, 49} {
		if n, err := io.Copy(io.Discard, slow[i]); err != nil || n != 8<<20 {
			t.Errorf("a slow one got %d octets, %v", n, err)
		}
	}
	if n := s.metric("http_connections"); n < 48 {
		t.Errorf("%v connections", n)
	}
}

// TestAnswerDeadlineOverTLS: a client that reads nothing more is cut, after a minute or two.
func TestAnswerDeadlineOverTLS(t *testing.T) {
	if os.Getenv("ZAMQP_TEST_LONG") == "" {
		t.Skip("takes two minutes: ZAMQP_TEST_LONG=1")
	}
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	body := slowTLS(t, at, own)
	for began := time.Now(); s.metric("http_connections") > 1; time.Sleep(time.Second) {
		if time.Since(began) > 4*patience {
			t.Fatal("it is not cut")
		}
	}
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("%d octets came", n)
	}
}

// TestTLSOnThePlainPort: the log says once what is wrong.
func TestTLSOnThePlainPort(t *testing.T) {
	s := start(t, embedded)
	at := strings.TrimPrefix(s.url, "http://")
	for range 5 {
		nc, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		if err := tls.Client(nc, &tls.Config{ServerName: "localhost"}).Handshake(); err == nil {
			t.Error("a handshake succeeded")
		}
		_ = nc.Close()
	}
	nc, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = nc.Write([]byte{0x16, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3})
	if text, _ := io.ReadAll(nc); !strings.HasPrefix(string(text), "HTTP/1.1 400 ") || !strings.HasSuffix(string(text), "use http://, or the port for TLS\n") {
		t.Errorf("%q", text)
	}
	wait.Until(t, "the log says it", func() bool { return strings.Contains(s.log.String(), "a client speaks TLS to a port without TLS") })
	wait.Until(t, "all are counted", func() bool { return s.metric("http_malformed_total") == 6 })
	if n := strings.Count(s.log.String(), "speaks TLS"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestRetryAfterAtCallsMax: a client that is refused because too many calls run is told when to
// try again.
func TestRetryAfterAtCallsMax(t *testing.T) {
	s := start(t, embedded, "server.calls_max=1")
	before := saw("waiting over TLS")
	first, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() // ends its call, for which the drain would wait
	_, _ = io.WriteString(first, "GET /tls/wait HTTP/1.1\r\nHost: h\r\n\r\n")
	wait.Until(t, "a call runs", func() bool { return saw("waiting over TLS") > before })
	resp, text := ask(t, http.DefaultClient, s.url+"/tls/call")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || text != "too many calls at once\n" {
		t.Errorf("%d %s, %v", resp.StatusCode, text, resp.Header)
	}
}
