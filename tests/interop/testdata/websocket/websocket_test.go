//go:build outside

// Package websocket_test runs WebSocket libraries for net/http, and an upgrade
// through httputil.ReverseProxy, as handlers of the server.
package websocket_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/rs/zerolog"
	xnet "golang.org/x/net/websocket"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/logs"
)

// patience only bounds a hang.
const patience = time.Minute

// handlers are the echoes, by library.
var handlers = map[string]http.Handler{
	"coder": http.HandlerFunc(coderEcho),
	"xnet":  xnet.Handler(func(c *xnet.Conn) { _, _ = io.Copy(c, c) }),
}

// backend is what the proxy goes to: net/http's own server.
var backend = sync.OnceValue(func() *url.URL {
	mux := http.NewServeMux()
	for name, h := range handlers {
		mux.Handle("/proxied/"+name, h)
	}
	u, _ := url.Parse(httptest.NewServer(mux).URL)
	return u
})

func init() {
	for name, h := range handlers {
		publisher.Handle("/"+name, publisher.HTTP(h))
	}
	publisher.Handle("/proxied/", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httputil.NewSingleHostReverseProxy(backend()).ServeHTTP(w, r)
	})))
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	c, err := coder.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, in, err := c.Reader(r.Context())
		if err == nil {
			var out io.WriteCloser
			if out, err = c.Writer(r.Context(), kind); err == nil {
				_, _ = io.Copy(out, in)
				err = out.Close()
			}
		}
		if err != nil {
			_ = c.Close(coder.StatusGoingAway, fmt.Sprint(context.Cause(r.Context())))
			return
		}
	}
}

// serve runs a server and returns its address, host:port, and how to stop it.
func serve(t *testing.T, options ...string) (address string, stop func() error) {
	t.Helper()
	options = append([]string{"http.listen=127.0.0.1:0", "server.data_dir="}, options...)
	settings, err := config.Load(config.Sources{Options: options}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := &logs.Buffer{}
	end := make(chan error, 1)
	go func() { end <- app.Serve(ctx, settings, zerolog.New(log)) }()
	stop = sync.OnceValue(func() error { cancel(); return <-end })
	t.Cleanup(func() {
		_ = stop()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return strings.TrimPrefix(log.Await(t, "serving http").Address, "http://"), stop
}

// TestEcho: each library's client with each library's handler, directly and through a
// proxy, with as many of Go's processors as there may be and with one.
func TestEcho(t *testing.T) {
	for _, processors := range []string{"0", "1"} {
		t.Run("processors="+processors, func(t *testing.T) {
			address, _ := serve(t, "loop.processors="+processors)
			for _, path := range []string{"/coder", "/xnet", "/proxied/coder", "/proxied/xnet"} {
				t.Run(path, func(t *testing.T) {
					byCoder(t, address, path)
					byXNet(t, address, path)
				})
			}
		})
	}
}

// messages are short, long, and longer than any buffer.
var messages = []string{"ping", strings.Repeat("m", 70_000), strings.Repeat("l", 3<<20)}

func byCoder(t *testing.T, address, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := coder.Dial(ctx, "ws://"+address+path, &coder.DialOptions{HTTPHeader: http.Header{"Origin": {"http://" + address}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for _, m := range messages {
		go func() { _ = c.Write(ctx, coder.MessageText, []byte(m)) }()
		for got := 0; got < len(m); { // x/net answers in frames of its own
			_, b, err := c.Read(ctx)
			if err != nil || string(b) != m[got:got+len(b)] {
				t.Fatalf("of %d octets, at %d: %v", len(m), got, err)
			}
			got += len(b)
		}
	}
	_ = c.Close(coder.StatusNormalClosure, "done")
}

func byXNet(t *testing.T, address, path string) {
	c, err := xnet.Dial("ws://"+address+path, "", "http://"+address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for _, m := range messages {
		go func() { _, _ = io.WriteString(c, m) }()
		b := make([]byte, len(m))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != m {
			t.Fatalf("of %d octets: %v", len(m), err)
		}
	}
}

// TestGoodbye: a handler that reads by the request's context says goodbye when the
// server drains.
func TestGoodbye(t *testing.T) {
	address, stop := serve(t, "server.drain_timeout=10m")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := coder.Dial(ctx, "ws://"+address+"/coder", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, coder.MessageText, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { _, _, err := c.Read(ctx); read <- err }()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-read; err == nil {
		t.Error("the connection goes on")
	}
}
