// Package middleware_test runs other people's routers, middleware and WebSocket libraries
// under net/http's own server and under ours, and compares what a client sees.
package middleware_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// patience only ends a hang: a machine under load is faster.
const patience = time.Minute

// serveTheirs runs h under net/http's server and returns its address.
func serveTheirs(t *testing.T, h http.Handler) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return ln.Addr().String()
}

// serveOurs runs what register has registered under our server and returns its address.
func serveOurs(t *testing.T, register func(g *publisher.Registry)) string {
	g := publisher.NewRegistry()
	register(g)
	s, err := publisher.NewServer(g, nil, nil, publisher.Options{Log: zerolog.Nop(), ConflictRetries: 3})
	if err != nil {
		t.Fatal(err)
	}
	l, err := loop.New(loop.Options{Tasks: s.RunReady})
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan string, 1)
	l.OnStart(func() {
		s.Start(&runtime{l})
		l.OnEnd(s.End)
		door := httpdoor.New(s, http1.Config{}, httpdoor.Limits{})
		ln, err := l.Listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { return door.Accept(c) })
		if err != nil {
			t.Error(err)
			close(opened)
			return
		}
		opened <- ln.Addr().String()
	})
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return <-opened
}

// runtime is the loop as the publisher wants it.
type runtime struct{ *loop.Loop }

func (r *runtime) After(d time.Duration, fn func()) func() bool { return r.Loop.After(d, fn).Stop }
func (r *runtime) Offload(_ uintptr, fn, done func())           { r.Loop.Offload(fn, done) }

// ask sends a request that ends the connection, and returns the answer. Its fields are sorted,
// and the reason phrase and the values of Date and Retry-After are left out.
func ask(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%s: %v", address, err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	lines[0] = lines[0][:min(len(lines[0]), len("HTTP/1.1 200"))]
	for i, line := range lines {
		if name, _, _ := strings.Cut(line, ":"); name == "Date" || name == "Retry-After" {
			lines[i] = name + ": *"
		}
	}
	if strings.HasPrefix(lines[0], "HTTP/1.1 40") { // our own 404 and 405 do not have it
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == "X-Content-Type-Options: nosniff" })
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n") + "\n\n" + body
}

// request is a request that is the last one of its connection. fields are header lines.
func request(line, body string, fields ...string) string {
	method, _, _ := strings.Cut(line, " ")
	if body != "" || method == "POST" {
		fields = append(fields, "Content-Length: "+itoa(len(body)))
	}
	return line + " HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n" + body
}
