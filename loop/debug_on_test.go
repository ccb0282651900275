//go:build loopdebug

package loop_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/loop"
)

const debugging = true

func TestDebugFindsMisuse(t *testing.T) {
	for _, row := range []struct {
		what string
		p    func(c *loop.Conn) *peer
		says string
	}{
		{"Pending replaced while it is leaving", func(c *loop.Conn) *peer {
			return &peer{conn: c,
				feed: func(p *peer, in []byte) (int, error) { p.out = make([]byte, 64<<20); return len(in), nil },
				sent: func(p *peer) { p.out = []byte("four"); p.conn.Wake() },
			}
		}, "changed"},
	} {
		reports := make(chan *loop.PanicError, 4)
		r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { reports <- e }})
		at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { return row.p(c) })
		c := dial(t, at)
		_, _ = c.Write([]byte("x"))
		if e := wait(t, reports, "the report"); !strings.Contains(e.Error(), row.says) {
			t.Errorf("%s: %v", row.what, e)
		}
		r.end()
	}
}

func TestDebugPoisonsLentBytes(t *testing.T) {
	r := start(t, loop.Options{})
	var view []byte
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &peer{conn: c, feed: func(_ *peer, in []byte) (int, error) { view = in; return len(in), nil }}
	})
	c := dial(t, at)
	_, _ = c.Write([]byte("secret"))
	r.until("the input", func() bool { return view != nil })
	r.do(func() {
		if string(view) == "secret" {
			t.Error("bytes lent to Feed are still there after it")
		}
	})
}

func TestDebugFindsTheWrongThread(t *testing.T) {
	r := start(t, loop.Options{})
	r.do(func() {})
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "use Post") {
			t.Errorf("panic: %v", v)
		}
	}()
	r.After(time.Hour, func() {})
	t.Error("After on another goroutine is not noticed")
}
