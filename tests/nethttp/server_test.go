// Package nethttp_test runs net/http handlers under net/http's own server and
// under ours, and compares what a client sees on its socket, octet by octet, and
// what the handlers see.
package nethttp_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// A handler is one of net/http that can tell what it has seen.
type handler func(w http.ResponseWriter, r *http.Request, see func(what ...any))

// seen is what a handler has told.
type seen struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (s *seen) see(what ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.lines, what...)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.String()
}

// endPath is what the request that ends each conversation asks for: whether it is
// answered tells whether the connection was still open.
const (
	endPath    = "/the-end"
	endRequest = "GET " + endPath + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	endAnswer  = "the end of the conversation"
)

// bind makes an http.Handler of a row's handler.
func bind(h handler, s *seen) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == endPath {
			_, _ = io.WriteString(w, endAnswer)
			return
		}
		h(w, r, s.see)
	})
}

// serveTheirs runs h under net/http's server and returns its address.
func serveTheirs(t *testing.T, h http.Handler) string { return serveTheirsOn(t, h, listen(t)) }

// serveTheirsTLS is serveTheirs with TLS.
func serveTheirsTLS(t *testing.T, h http.Handler, config *tls.Config) string {
	return serveTheirsOn(t, h, tls.NewListener(listen(t), config))
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func serveTheirsOn(t *testing.T, h http.Handler, ln net.Listener) string {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	s := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return ln.Addr().String()
}

// serveMounted runs a handler under our server, on a goroutine of its own.
func serveMounted(t *testing.T, h http.Handler) string { return serveOurs(t, publisher.HTTP(h)) }

// serveOurs runs a handler under our server, inside of middleware, and returns its address.
func serveOurs(t *testing.T, h publisher.Handler, middleware ...func(http.Handler) http.Handler) string {
	return serveOursOn(t, h, middleware, func(l *loop.Loop, door *httpdoor.Door) (string, error) {
		ln, err := l.Listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { return door.Accept(c) })
		if err != nil {
			return "", err
		}
		return ln.Addr().String(), nil
	})
}

// serveOursTLS is serveOurs with TLS.
func serveOursTLS(t *testing.T, h http.Handler, config *tls.Config) string {
	ln := listen(t)
	t.Cleanup(func() { _ = ln.Close() })
	return serveOursOn(t, publisher.HTTP(h), nil, func(l *loop.Loop, door *httpdoor.Door) (string, error) {
		go func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				secure := tls.Server(nc, config)
				if secure.Handshake() != nil {
					_ = nc.Close()
					continue
				}
				state := secure.ConnectionState()
				l.Post(func() { l.Adopt(secure, func(c *loop.Conn) loop.Peer { return door.AcceptTLS(c, &state) }) })
			}
		}()
		return ln.Addr().String(), nil
	})
}

// serveOursOn runs a handler under our server, which open makes reachable.
func serveOursOn(t *testing.T, h publisher.Handler, middleware []func(http.Handler) http.Handler, open func(l *loop.Loop, door *httpdoor.Door) (string, error)) string {
	g := publisher.NewRegistry()
	for _, m := range middleware {
		g.UseHTTP(m)
	}
	g.Handle("/", h)
	s, err := publisher.NewServer(g, nil, nil, publisher.Options{Log: zerolog.Nop()})
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
		address, err := open(l, door)
		if err != nil {
			t.Error(err)
		}
		opened <- address
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
