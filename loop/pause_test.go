package loop_test

import (
	"bytes"
	"testing"

	"zamqp/loop"
)

// TestPause: a paused connection is not read at all, even if its peer takes everything, and
// continues where it stopped.
func TestPause(t *testing.T) {
	const size = 8 << 20
	r := start(t, loop.Options{ReadSize: 16 << 10, ReadTurnMax: 64 << 10})
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
			if p.fed == len(in) { // the first octets
				c.Pause(true)
			}
			return len(in), nil
		}}
		return server
	})
	c := dial(t, at)
	go func() { _, _ = c.Write(bytes.Repeat([]byte{'x'}, size)) }()
	r.until("the first octets", func() bool { return server != nil && server.fed > 0 })
	other := dial(t, r.listen("tcp", "127.0.0.1:0", echo))
	for range 20 { // turns of the loop in which the first one could be read
		ask(t, other)
	}
	r.do(func() {
		if server.fed > 16<<10 {
			t.Errorf("%d octets were read of a paused connection", server.fed)
		}
		server.conn.Pause(false)
	})
	r.until("the rest", func() bool { return server.fed == size })
}
