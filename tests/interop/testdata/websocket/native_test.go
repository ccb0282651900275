//go:build outside

package websocket_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
)

func init() {
	publisher.WebSocket("GET /native", func(ws *publisher.Socket) error {
		for {
			kind, p, err := ws.Read()
			if err != nil {
				return err
			}
			if string(p) == "close" {
				return ws.Close(4002, "as you like")
			}
			if err := ws.Write(kind, p); err != nil {
				return err
			}
		}
	}, publisher.MessageMax(4*publisher.MiB), publisher.Subprotocols("echo"), publisher.PingInterval(50*time.Millisecond))
}

// TestNative: each library's client with the server's own WebSockets, with and without
// TLS.
func TestNative(t *testing.T) {
	own := selfsigned.New(t)
	secure := freeAddress(t)
	address, _ := serve(t, "http.tls.listen="+secure, "http.tls.cert_file="+own.Cert, "http.tls.key_file="+own.Key)
	for scheme, at := range map[string]string{"ws://": address, "wss://": secure} {
		t.Run(strings.TrimSuffix(scheme, "://"), func(t *testing.T) {
			t.Run("gorilla", func(t *testing.T) { byGorilla(t, scheme+at+"/native", false) })
			t.Run("gorilla that offers compression", func(t *testing.T) { byGorilla(t, scheme+at+"/native", true) })
			t.Run("gobwas", func(t *testing.T) { byGobwas(t, scheme+at+"/native") })
			t.Run("coder", func(t *testing.T) { byCoderOver(t, scheme+at+"/native") })
		})
	}
	t.Run("coder, as the other handlers", func(t *testing.T) { byCoder(t, address, "/native") })
	t.Run("x/net", func(t *testing.T) { byXNet(t, address, "/native") })
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var insecure = &tls.Config{InsecureSkipVerify: true}

func byGorilla(t *testing.T, url string, compress bool) {
	ready := false // for the next ping
	d := gorilla.Dialer{TLSClientConfig: insecure, Subprotocols: []string{"other", "echo"}, EnableCompression: compress, HandshakeTimeout: patience}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Subprotocol() != "echo" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	c.SetPingHandler(func(data string) error {
		if ready {
			_ = c.WriteMessage(gorilla.TextMessage, []byte("close"))
			ready = false
		}
		return c.WriteControl(gorilla.PongMessage, []byte(data), time.Now().Add(patience))
	})
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for _, m := range messages {
		for _, kind := range []int{gorilla.TextMessage, gorilla.BinaryMessage} {
			written := make(chan error, 1)
			go func() { written <- c.WriteMessage(kind, []byte(m)) }()
			if got, p, err := c.ReadMessage(); err != nil || got != kind || string(p) != m {
				t.Fatalf("%d octets of %d, kind %d: %v", len(p), len(m), got, err)
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		}
	}
	ready = true
	_, _, err = c.ReadMessage()
	var closed *gorilla.CloseError
	if !errors.As(err, &closed) || closed.Code != 4002 || closed.Text != "as you like" {
		t.Error(err)
	}
}

func byGobwas(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := ws.Dialer{TLSConfig: insecure, Protocols: []string{"echo"}}
	c, _, hs, err := d.Dial(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if hs.Protocol != "echo" {
		t.Errorf("subprotocol %q", hs.Protocol)
	}
	for _, m := range messages {
		go func() { _ = wsutil.WriteClientText(c, []byte(m)) }()
		if p, err := wsutil.ReadServerText(c); err != nil || string(p) != m {
			t.Fatalf("%d octets of %d: %v", len(p), len(m), err)
		}
	}
	_ = wsutil.WriteClientText(c, []byte("close"))
	_, err = wsutil.ReadServerText(c)
	var closed wsutil.ClosedError
	if !errors.As(err, &closed) || closed.Code != 4002 {
		t.Error(err)
	}
}

func byCoderOver(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := coder.Dial(ctx, url, &coder.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: insecure}}, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	m := bytes.Repeat([]byte("m"), 100_000)
	go func() { _ = c.Write(ctx, coder.MessageBinary, m) }()
	if kind, p, err := c.Read(ctx); err != nil || kind != coder.MessageBinary || !bytes.Equal(p, m) {
		t.Fatalf("%d octets: %v", len(p), err)
	}
	read := make(chan error, 1)
	go func() { _, _, err := c.Read(ctx); read <- err }()
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	_ = c.Write(ctx, coder.MessageText, []byte("close"))
	if err := <-read; coder.CloseStatus(err) != 4002 {
		t.Error(err)
	}
}
