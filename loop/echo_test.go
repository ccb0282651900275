package loop_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"zamqp/loop"
)

// stubborn takes random prefixes, sometimes nothing, is woken inside Feed or later, and echoes.
func stubborn(seed uint64, later func(func())) func(*loop.Conn) loop.Peer {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(c *loop.Conn) loop.Peer {
		return &peer{conn: c, later: later, feed: func(p *peer, in []byte) (int, error) {
			n := rng.IntN(len(in) + 1)
			p.out = append(p.out, in[:n]...)
			switch { // somebody must, or the rest of the last chunk would wait for ever
			case n == len(in):
			case n == 0:
				p.later(c.Wake)
			default:
				c.Wake()
			}
			return n, nil
		}}
	}
}

func TestEchoUnderRandomChunking(t *testing.T) {
	const seed, clients, size = 7, 8, 300_000
	for _, name := range []string{"whole", "prefixes"} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+" "+network, func(t *testing.T) {
				r := start(t, loop.Options{ReadSize: 4096, ReadTurnMax: 10_000})
				accept := echo
				if name == "prefixes" {
					accept = stubborn(seed, func(fn func()) { r.Post(fn) })
				}
				addr := "127.0.0.1:0"
				if network == "unix" {
					addr = filepath.Join(t.TempDir(), "s")
				}
				at := r.listen(network, addr, accept)
				var wg sync.WaitGroup
				for i := range clients {
					wg.Add(1)
					go func() {
						defer wg.Done()
						echoOnce(t, dial(t, at), rand.New(rand.NewPCG(seed, uint64(i))), size)
					}()
				}
				wg.Wait()
			})
		}
	}
}

// echoOnce writes size random bytes in random pieces and reads them back.
func echoOnce(t *testing.T, c net.Conn, rng *rand.Rand, size int) {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	go func() {
		for rest := out; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(20_000))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Errorf("write: %v", err)
				return
			}
			rest = rest[n:]
		}
	}()
	in := make([]byte, size)
	if _, err := io.ReadFull(c, in); err != nil {
		t.Errorf("read: %v", err)
	}
	if !bytes.Equal(in, out) {
		t.Error("what came back is not what was sent")
	}
}
