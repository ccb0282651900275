package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// netHijack takes over its connection after something that forbids it, or after nothing, and
// echoes.
func netHijack(w http.ResponseWriter, r *http.Request) {
	call := publisher.FromContext(r.Context())
	way := r.PathValue("way")
	switch way {
	case "published":
		_ = call.Publish("e2e-net", "x")
	case "replied":
		_ = call.Reply(201, "x")
	case "waited": // by another goroutine, for a thing that comes when Hijack has been refused
		waits, done := make(chan struct{}), make(chan func(error), 1)
		go func() { _ = call.Await(func(fn func(error)) { done <- fn; close(waits) }) }()
		<-waits
		defer (<-done)(nil)
	}
	conn, b, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	if way == "forgets" {
		fmt.Fprint(conn, switched)
		return
	}
	defer conn.Close()
	if err := call.Publish("e2e-net", "x"); !errors.Is(err, publisher.ErrOver) {
		see(fmt.Sprint("net: publish after hijack: ", err))
	}
	fmt.Fprint(conn, switched)
	switch way {
	case "listens":
		stop := context.AfterFunc(r.Context(), func() {
			fmt.Fprint(conn, context.Cause(r.Context()))
			_ = conn.Close()
		})
		defer stop()
	case "panics":
		panic("on purpose, with the connection in hand")
	}
	_, _ = io.Copy(conn, b)
}

const switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n"

// hijack requests a way of netHijack and returns the connection after the answer.
func (s *server) hijack(way string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /net/hijack/%s HTTP/1.1\r\nHost: x\r\n\r\n", way)
	b := bufio.NewReader(conn)
	resp, err := http.ReadResponse(b, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("%v %v", resp, err)
	}
	return conn, b
}

func echoes(t *testing.T, conn net.Conn, b *bufio.Reader) {
	t.Helper()
	fmt.Fprint(conn, "ping\n")
	if line, err := b.ReadString('\n'); line != "ping\n" || err != nil {
		t.Fatalf("%q %v", line, err)
	}
}

// TestHijack: the connection belongs to the handler, the call is over, and the limits count
// both.
func TestHijack(t *testing.T) {
	s := start(t, embedded, "server.calls_max=2", "http.connections_max=6")
	for way, want := range map[string]string{"published": "work to finish", "replied": "has begun", "waited": "work to finish"} {
		if status, body := s.get("/net/hijack/" + way); status != http.StatusConflict || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", way, status, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	foul := saw("net: publish after hijack: <nil>")
	conns, readers := make([]net.Conn, 5), make([]*bufio.Reader, 5)
	for i := range conns { // more than there may be calls
		conns[i], readers[i] = s.hijack("echo")
	}
	if n, calls := s.metric("http_connections_hijacked"), s.metric("http_connections"); n != 5 || calls != 6 {
		t.Errorf("%v connections hijacked of %v", n, calls)
	}
	if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(s.url + "/livez"); err == nil { // the seventh
		t.Errorf("over connections_max: %v", resp.Status)
	}
	for i := range conns {
		echoes(t, conns[i], readers[i])
	}
	for i := range conns {
		_ = conns[i].Close()
	}
	wait.Until(t, "all are counted out", func() bool { return s.metric("http_connections_hijacked") == 0 && s.metric("http_connections") == 1 })
	s.hijack("panics")
	wait.Until(t, "the panic is logged", func() bool {
		return strings.Contains(s.log.String(), "a handler panicked after it had taken over its connection")
	})
	if saw("net: publish after hijack: <nil>") != foul {
		t.Error("published after Hijack")
	}
}

// TestDrainOfHijackedConnections: a handler that watches its context says goodbye
// and does not delay the drain; a handler that does not is closed.
func TestDrainOfHijackedConnections(t *testing.T) {
	for _, way := range []string{"listens", "echo"} {
		t.Run(way, func(t *testing.T) {
			if way == "echo" && testing.Short() {
				t.Skip("waits for handlers that do not listen")
			}
			s := start(t, embedded, "server.drain_timeout=10m")
			conn, b := s.hijack(way)
			echoes(t, conn, b)
			if err := s.drain(); err != nil {
				t.Error(err)
			}
			rest, err := io.ReadAll(b)
			switch {
			case err != nil:
				t.Error(err)
			case way == "listens" && string(rest) != publisher.ErrDraining.Error():
				t.Errorf("the client was told %q", rest)
			}
			if closed := strings.Contains(s.log.String(), "handlers have not closed the connections"); closed != (way == "echo") {
				t.Errorf("closed by the drain: %v", closed)
			}
		})
	}
}

// TestHijackedAndForgotten: package net closes connections that nothing refers to, and the
// count is right.
func TestHijackedAndForgotten(t *testing.T) {
	s := start(t, embedded)
	_, b := s.hijack("forgets")
	ended := make(chan error, 1)
	go func() { _, err := b.ReadByte(); ended <- err }()
	wait.Until(t, "it is closed", func() bool {
		runtime.GC()
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	wait.Until(t, "it is counted out", func() bool { return s.metric("http_connections_hijacked") == 0 })
}
