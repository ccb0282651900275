package interop_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// fill has requests wait for the broker until no more have room: others fail at once.
func (s *server) fill() {
	s.t.Helper()
	client := http.Client{Timeout: time.Second}
	wait.Until(s.t, "a publish fails at once", func() bool {
		resp, err := client.Post(s.url+"/orders", "application/json", strings.NewReader(`{"item":"book"}`))
		if err != nil {
			return false // it waits
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 503
	})
}

// TestLogInAStorm: while the broker refuses connections, 100,000 requests fail. The log has the
// first failures and how many more there were, and the disk is not filled.
func TestLogInAStorm(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, process.FreeAddress(t), "amqp://127.0.0.1:1/", "log.format=json", "connection.default.backoff_min=10ms", "connection.default.backoff_max=10ms",
		"connection.default.publish_max=1KiB", "connection.default.confirm_timeout=1h", "server.drain_timeout=1s")
	s.waitStatus("/livez", 200)
	s.fill()
	const requests, body = 100_000, `{"item":"book"}`
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	go func() {
		piece := strings.Repeat("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"+body, 100)
		for range requests / 100 {
			if _, err := io.WriteString(c, piece); err != nil {
				return // the reader says so
			}
		}
	}()
	for r, n := bufio.NewReader(c), 0; n < requests; n++ {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 503 {
			t.Fatalf("answer %d: %s, %v", n, resp.Status, err)
		}
	}
	s.signal(syscall.SIGTERM)
	_ = s.Wait() // the drain is cut short: some calls wait for the broker
	log := s.log.String()
	failed := strings.Count(log, `"message":"the call failed"`)
	if failed < 100 || failed > 201 {
		t.Errorf("%d lines about calls that failed", failed)
	}
	if lines := strings.Count(log, "\n"); lines > 300 {
		t.Errorf("the log has %d lines", lines)
	}
	if !strings.Contains(log, `"of":"the call failed"`) || !strings.Contains(log, `"handler":"POST /orders"`) {
		t.Error("the log does not say how many lines were left out")
	}
}
