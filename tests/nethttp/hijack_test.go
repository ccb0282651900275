package nethttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// taking makes a handler that takes over the connection and goes on with it.
func taking(next func(c net.Conn, b *bufio.ReadWriter, see func(...any))) handler {
	return func(w http.ResponseWriter, _ *http.Request, see func(...any)) {
		c, b, err := http.NewResponseController(w).Hijack()
		if see("hijack", err); err != nil {
			return
		}
		defer c.Close()
		next(c, b, see)
	}
}

// upper answers lines in capitals until the client asks for the end.
func upper(c net.Conn, b *bufio.ReadWriter, see func(...any)) {
	for {
		line, err := b.ReadString('\n')
		if line == "\r\n" || err != nil { // of the request for the end
			see(err)
			return
		}
		_, _ = b.WriteString(strings.ToUpper(line))
		_ = b.Flush()
	}
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: upper\r\nConnection: Upgrade\r\n\r\n"

var upgrade = with("Upgrade: upper\r\nConnection: Upgrade\r\n")

func TestHijack(t *testing.T) {
	compare(t, []row{
		{name: "what was sent behind the request is there", inline: whyHijack, handler: taking(func(_ net.Conn, b *bufio.ReadWriter, see func(...any)) {
			waiting, err := b.Peek(b.Reader.Buffered())
			see(string(waiting) == endRequest, err)
			_, _ = b.WriteString("raw")
			see(b.Flush())
		})},
		{name: "switched by hand", request: upgrade, then: "one\ntwo\n", inline: waits, handler: taking(func(c net.Conn, b *bufio.ReadWriter, see func(...any)) {
			_, _ = io.WriteString(c, switching)
			upper(c, b, see)
		})},
		{name: "switched by WriteHeader", request: upgrade, then: "one\ntwo\n", inline: waits,
			handler: setting(func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				w.WriteHeader(http.StatusSwitchingProtocols)
				taking(upper)(w, r, see)
			}, "Upgrade", "upper", "Connection", "Upgrade", "Sec-X", "1")},
		{name: "another head before", then: "one\ntwo\n", inline: waits,
			handler: setting(func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				w.WriteHeader(http.StatusOK)
				taking(upper)(w, r, see)
			}, "Content-Length", "1000")},
		{name: "after 103", then: "one\n", inline: waits, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			w.WriteHeader(http.StatusEarlyHints)
			taking(upper)(w, r, see)
		}},
		{name: "with a body", request: strings.Replace(upgrade, "GET", "POST", 1)[:len(upgrade)-1] + "Content-Length: 4\r\n\r\nbody", inline: waits,
			handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
				see(io.ReadAll(r.Body))
				taking(upper)(w, r, see)
			}},
		{name: "by HTTP/1.0", request: strings.Replace(get, "1.1", "1.0", 1), inline: waits, handler: taking(func(c net.Conn, _ *bufio.ReadWriter, _ func(...any)) {
			_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nraw")
		})},
		{name: "the writer is over", inline: waits, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			control := http.NewResponseController(w)
			c, _, _ := control.Hijack()
			if c == nil {
				return
			}
			defer c.Close()
			n, err := io.WriteString(w, "text")
			see(n, errors.Is(err, http.ErrHijacked))
			_, _, err = control.Hijack()
			see(errors.Is(err, http.ErrHijacked))
			see(r.Context().Err())
		}},
		{name: "deadlines", inline: waits, handler: func(w http.ResponseWriter, _ *http.Request, see func(...any)) {
			control := http.NewResponseController(w)
			c, b, err := control.Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = b.Discard(b.Reader.Buffered())
			for _, set := range []func(time.Time) error{c.SetReadDeadline, c.SetDeadline, control.SetReadDeadline} {
				see(set(time.Unix(1, 0)))
				_, err = c.Read(make([]byte, 1))
				see(errors.Is(err, os.ErrDeadlineExceeded))
				see(set(time.Time{}))
			}
		}},
		{name: "read and write beside each other, then a half close", then: strings.Repeat("x", 1000), inline: waits,
			handler: taking(func(c net.Conn, b *bufio.ReadWriter, see func(...any)) {
				read := make(chan int)
				go func() {
					n, _ := b.Read(make([]byte, 1))
					read <- n
				}()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("y", 1<<20))
				see(<-read)
				half, ok := c.(interface{ CloseWrite() error })
				see(ok, c.LocalAddr().Network(), c.RemoteAddr().Network())
				if ok { // the client sees the end by it, so nothing is seen after
					_ = half.CloseWrite()
				}
			})},
		{name: "panic behind", inline: waits, handler: taking(func(c net.Conn, _ *bufio.ReadWriter, _ func(...any)) {
			_, _ = io.WriteString(c, "raw")
			panic("on purpose")
		})},
		{name: "after octets", differs: whyHijack, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			_, _ = io.WriteString(w, "text")
			_ = http.NewResponseController(w).Flush()
			taking(func(net.Conn, *bufio.ReadWriter, func(...any)) {})(w, r, see)
		}},
	})
}

// TestHijackOutlivesItsHandler: a handler that takes over the connection may leave
// it to another goroutine.
func TestHijackOutlivesItsHandler(t *testing.T) {
	over := make(chan error, 1)
	h := func(w http.ResponseWriter, r *http.Request) {
		c, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			over <- err
			return
		}
		go func() {
			defer c.Close()
			<-r.Context().Done() // it ends when the handler returns, and the connection does not
			over <- context.Cause(r.Context())
			line, _ := b.ReadString('\n')
			fmt.Fprint(c, "heard ", line)
		}()
	}
	for name, serve := range map[string]func(*testing.T, http.Handler) string{"net/http": serveTheirs, "ours": serveMounted} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", serve(t, http.HandlerFunc(h)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(c, get)
			if err := <-over; err == nil || errors.Is(err, http.ErrNotSupported) {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "it\n")
			if got, err := io.ReadAll(c); string(got) != "heard it\n" || err != nil {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}
