package outbox_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A wire passes connections on to a broker. A test can cut it, and can hold back what the broker
// says, so that confirms do not arrive.
type wire struct {
	url    string
	target string
	mu     sync.Mutex
	change *sync.Cond
	cut    bool
	held   bool
	open   map[net.Conn]bool
}

func newWire(t *testing.T, broker string) *wire {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{target: u.Host, open: map[net.Conn]bool{}}
	w.change = sync.NewCond(&w.mu)
	u.Host = ln.Addr().String()
	w.url = u.String()
	t.Cleanup(func() {
		_ = ln.Close()
		w.set(true, false)
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w
}

// set cuts the wire or joins it, and holds the broker's words back or not.
func (w *wire) set(cut, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.held = cut, held
	if cut {
		for c := range w.open {
			_ = c.Close()
		}
		clear(w.open)
	}
	w.change.Broadcast()
}

func (w *wire) serve(c net.Conn) {
	defer c.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	b, err := net.Dial("tcp", w.target)
	if err != nil {
		w.mu.Unlock()
		return
	}
	w.open[c], w.open[b] = true, true
	w.mu.Unlock()
	defer b.Close()
	go func() {
		_, _ = io.Copy(b, c)
		_ = b.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := b.Read(buf)
		w.mu.Lock()
		for w.held && !w.cut {
			w.change.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
