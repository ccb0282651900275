package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"zamqp/publisher"
)

// gorillaEcho is the echo of gorilla/websocket's examples.
func gorillaEcho(w http.ResponseWriter, req *http.Request) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{"echo"}, EnableCompression: true}
	c, err := upgrader.Upgrade(w, req, http.Header{"X-Echo": {"gorilla"}})
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(kind, message); err != nil {
			return
		}
	}
}

// coderEcho is the echo of coder/websocket's examples.
func coderEcho(w http.ResponseWriter, req *http.Request) {
	c, err := coder.Accept(w, req, &coder.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(4 << 20)
	for {
		kind, r, err := c.Reader(req.Context())
		if err != nil {
			return
		}
		w, err := c.Writer(req.Context(), kind)
		if err != nil {
			return
		}
		if _, err := io.Copy(w, r); err != nil {
			return
		}
		if err := w.Close(); err != nil {
			return
		}
	}
}

var messages = []string{"", "text", strings.Repeat("a longer one ", 1000), strings.Repeat("long", 1<<18), "ä日"}

// TestWebSocketEcho: both libraries on both servers, directly and inside of middleware,
// with clients of both.
func TestWebSocketEcho(t *testing.T) {
	pass := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { next.ServeHTTP(w, req) })
	}
	for name, echo := range map[string]http.HandlerFunc{"gorilla": gorillaEcho, "coder": coderEcho} {
		servers := map[string]string{
			"net/http": serveTheirs(t, echo),
			"ours":     serveOurs(t, func(g *publisher.Registry) { g.Handle("/", publisher.HTTP(echo)) }),
			"ours in middleware": serveOurs(t, func(g *publisher.Registry) {
				g.Handle("/", publisher.HTTP(echo))
				g.UseHTTP(pass)
			}),
		}
		var want string
		for _, server := range []string{"net/http", "ours", "ours in middleware"} {
			t.Run(name+" by "+server, func(t *testing.T) {
				at := servers[server]
				got := byGorilla(t, at) + byCoder(t, at) + ask(t, at, request("GET /", "")) +
					ask(t, at, request("GET /", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Origin: https://evil.example"))
				if server == "net/http" {
					want = got
				}
				if got != want {
					t.Errorf("%s\nunder net/http\n%s", got, want)
				}
			})
		}
	}
}

// byGorilla says the messages with gorilla's client, and a ping, and tells what came back.
func byGorilla(t *testing.T, at string) string {
	dialer := &gorilla.Dialer{HandshakeTimeout: patience, Subprotocols: []string{"other", "echo"}, EnableCompression: true}
	c, answer, err := dialer.Dial("ws://"+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	seen := fmt.Sprintln(answer.Status, answer.Header.Get("X-Echo"), c.Subprotocol(), answer.Header.Get("Sec-Websocket-Extensions"))
	c.SetPongHandler(func(text string) error { seen += "pong " + text + "\n"; return nil })
	_ = c.WriteControl(gorilla.PingMessage, []byte("p"), time.Now().Add(patience))
	for _, m := range messages {
		if err := c.WriteMessage(gorilla.TextMessage, []byte(m)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.ReadMessage()
		if err != nil || string(got) != m {
			t.Errorf("%d octets came back as %d: %v", len(m), len(got), err)
		}
		seen += fmt.Sprintln(kind, len(got))
	}
	_ = c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseGoingAway, "bye"), time.Now().Add(patience))
	_, _, err = c.ReadMessage()
	var closed *gorilla.CloseError
	return seen + fmt.Sprintln(errors.As(err, &closed), err)
}

// byCoder is byGorilla with coder's client.
func byCoder(t *testing.T, at string) string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, answer, err := coder.Dial(ctx, "ws://"+at, &coder.DialOptions{Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(4 << 20)
	seen := fmt.Sprintln(answer.Status, c.Subprotocol(), answer.Header.Get("Sec-Websocket-Extensions"))
	for _, m := range messages {
		if err := c.Write(ctx, coder.MessageBinary, []byte(m)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(ctx)
		if err != nil || !bytes.Equal(got, []byte(m)) {
			t.Errorf("%d octets came back as %d: %v", len(m), len(got), err)
		}
		seen += fmt.Sprintln(kind, len(got))
	}
	return seen + fmt.Sprintln(c.Close(coder.StatusNormalClosure, ""))
}
