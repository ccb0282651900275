package loop_test

import (
	"testing"
	"time"

	"zamqp/loop"
)

// A stall names the peer whose input is at work, and nobody when it is over.
func TestStallNamesThePeer(t *testing.T) {
	stalls := make(chan loop.Stall, 64)
	r := start(t, loop.Options{StallWarning: 10 * time.Millisecond, OnStall: func(s loop.Stall) {
		select {
		case stalls <- s:
		default:
		}
	}})
	seen := make(chan string, 1)
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
			for s := range stalls { // a busy machine may have kept the thread from running before
				if s.Phase == "reading" && s.Peer != "" {
					seen <- s.Peer
					break
				}
			}
			p.out = append(p.out, in...)
			return len(in), nil
		}}
	})
	c := dial(t, at)
	ask(t, c)
	if got := wait(t, seen, "the stall"); got != c.LocalAddr().String() {
		t.Errorf("peer %q, want %v", got, c.LocalAddr())
	}
	looked := make(chan loop.Stall, 1)
	r.do(func() { looked <- r.Look() })
	if s := <-looked; s.Peer != "" {
		t.Errorf("outside of its input: %+v", s)
	}
}
