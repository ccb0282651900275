package loop_test

import (
	"io"
	"net"
	"testing"

	"zamqp/loop"
	"zamqp/tests/kit/racing"
)

// TestSlowReadersShareATurn: clients that read nothing, or little, of long answers get only
// their share of a turn, however many they are. Each of them gets some of it, and a client
// with a short answer does not wait in their line.
func TestSlowReadersShareATurn(t *testing.T) {
	clients := 1000
	if testing.Short() || racing.Enabled {
		clients = 100
	}
	const long, conn, turn = 3 << 20, 64 << 10, 256 << 10
	r := start(t, loop.Options{WriteConnMax: conn, WriteTurnMax: turn})
	answer := make([]byte, long)
	var servers []*peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		p := &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
			p.out = answer
			return len(in), nil
		}}
		servers = append(servers, p)
		return p
	})
	short := dial(t, r.listen("tcp", "127.0.0.1:0", echo))
	var readers []net.Conn
	for range clients {
		c := dial(t, at)
		if _, err := c.Write([]byte("go")); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, c)
	}
	r.until("each to get a part of its answer", func() bool {
		if len(servers) < clients {
			return false
		}
		for _, p := range servers {
			if len(p.out) == 0 || len(p.out) == long {
				return false
			}
		}
		return true
	})
	for range 10 {
		ask(t, short)
		for _, c := range readers {
			if _, err := io.ReadFull(c, make([]byte, 4096)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(readers[0], long-40960)); err != nil {
		t.Fatal(err)
	}
	r.until("the first answer to leave", func() bool { return len(servers[0].out) == 0 })
	if most := r.Stats().TurnOut; most > turn+conn+4096 || most == 0 {
		t.Errorf("%d octets were written in one turn, with a share of %d for all and %d for each", most, turn, conn)
	}
}
