package http1_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// The loop and the test wire serve a Conn in the same way.
var (
	_ wiretest.Peer       = (*http1.Conn)(nil)
	_ wiretest.HalfCloser = (*http1.Conn)(nil)
)

// greeter is the smallest possible Handler, so that the machine is measured.
type greeter struct {
	conn   *http1.Conn
	stream bool
	octets int
}

var hello = []byte("Hello, World!")

func (g *greeter) Head(*http1.Head) int { return 0 }
func (g *greeter) Body(p []byte)        { g.octets += len(p) }
func (g *greeter) Gone(error)           {}
func (g *greeter) Room() int            { return 0 }
func (g *greeter) BodyMax() int64       { return 0 }
func (g *greeter) Trailer(*http1.Field) {}
func (g *greeter) End() {
	if !g.stream {
		g.conn.Answer(200, "text/plain; charset=utf-8", nil, hello)
		return
	}
	g.conn.Start(200, nil, -1)
	_ = g.conn.Write(hello)
	g.conn.Finish()
}

func newGreeter() *greeter {
	g := &greeter{}
	g.conn = http1.NewServer(http1.DefaultConfig()).NewConn(wiretest.NewWire(), g)
	g.conn.Tick(wiretest.Epoch)
	return g
}

// turn is what one turn of the loop does to a connection that was read from.
func (g *greeter) turn(in []byte, now time.Time) (n int, err error) {
	n, err = g.conn.Feed(in)
	g.conn.Tick(now)
	g.conn.Sent(len(g.conn.Pending()))
	return n, err
}

// exchanges are what must be served without an allocation. The first is what
// wrk sends.
var exchanges = []struct {
	name, in string
	stream   bool
}{
	{"get", "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", false},
	{"get-pipelined", strings.Repeat("GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", 16), false},
	{"get-browser", browserHead, false},
	{"get-stream", "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", true},
	{"post-length", post + "Content-Type: application/json\r\nContent-Length: 256\r\n\r\n" + strings.Repeat("x", 256), false},
	{"post-chunked", chunkedPost + "80\r\n" + strings.Repeat("x", 128) + "\r\n80\r\n" + strings.Repeat("x", 128) + "\r\n0\r\n\r\n", false},
}

const browserHead = "GET /static/app.js?v=12 HTTP/1.1\r\n" +
	"Host: www.example.org\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n" +
	"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n" +
	"Upgrade-Insecure-Requests: 1\r\nPriority: u=0, i\r\n\r\n"

func TestZeroAllocation(t *testing.T) {
	for _, row := range exchanges {
		t.Run(row.name, func(t *testing.T) {
			g := newGreeter()
			g.stream = row.stream
			in := []byte(row.in)
			now := wiretest.Epoch
			allocs := testing.AllocsPerRun(200, func() {
				now = now.Add(time.Second) // a new Date each time
				if n, err := g.turn(in, now); n != len(in) || err != nil {
					t.Fatal(n, err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
	t.Run("get, in three reads", func(t *testing.T) {
		g := newGreeter()
		in := []byte(browserHead)
		allocs := testing.AllocsPerRun(200, func() {
			_, _ = g.turn(in[:30], wiretest.Epoch)
			_, _ = g.turn(in[:200], wiretest.Epoch)
			if n, err := g.turn(in, wiretest.Epoch); n != len(in) || err != nil {
				t.Fatal(n, err)
			}
		})
		if allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// TestIdleMemory: connections that have been served and are idle share the
// buffers that they used one after the other.
func TestIdleMemory(t *testing.T) {
	const n = 10_000
	server := http1.NewServer(http1.DefaultConfig())
	wire := wiretest.NewWire()
	greeters := make([]greeter, n)
	in := []byte(exchanges[0].in)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range greeters {
		g := &greeters[i]
		g.conn = server.NewConn(wire, g)
		g.conn.Tick(wiretest.Epoch)
		_, _ = g.turn(in, wiretest.Epoch)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d octets a connection", each)
	if each > 256 {
		t.Errorf("an idle connection holds %d octets", each)
	}
	runtime.KeepAlive(greeters)
}

// TestBufferPoolIsBounded: after large answers no memory is kept.
func TestBufferPoolIsBounded(t *testing.T) {
	server := http1.NewServer(http1.DefaultConfig())
	body := make([]byte, 1<<20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		var all []*greeter
		for range 8 { // all at once, so that eight buffers are out
			g := &greeter{}
			g.conn = server.NewConn(wiretest.NewWire(), &late{})
			_, _ = g.conn.Feed([]byte(get11))
			g.conn.Answer(200, "", nil, body)
			all = append(all, g)
		}
		for _, g := range all {
			p := g.conn.Pending()
			if !bytes.HasSuffix(p, body) {
				t.Fatal("the body is damaged")
			}
			g.conn.Sent(len(p))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc) - int64(len(body)); kept > 5<<20 {
		t.Errorf("%d octets are kept", kept)
	}
	runtime.KeepAlive(server)
}

// late answers from outside.
type late struct{}

func (late) Head(*http1.Head) int { return 0 }
func (late) Body([]byte)          {}
func (late) End()                 {}
func (late) Gone(error)           {}
func (late) Room() int            { return 0 }
func (late) BodyMax() int64       { return 0 }
func (late) Trailer(*http1.Field) {}

func BenchmarkExchange(b *testing.B) {
	for _, row := range exchanges {
		b.Run(row.name, func(b *testing.B) {
			g := newGreeter()
			g.stream = row.stream
			in := []byte(row.in)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if n, err := g.turn(in, wiretest.Epoch); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkBody measures the cost of an octet of a large upload.
func BenchmarkBody(b *testing.B) {
	const size = 64 << 10
	for _, row := range []struct{ name, head, body string }{
		{"length", post + "Content-Length: 1000000000\r\n\r\n", strings.Repeat("x", size)},
		{"chunks-4K", chunkedPost, strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", size/4096)},
	} {
		b.Run(row.name, func(b *testing.B) {
			cfg := http1.DefaultConfig()
			cfg.BodyMax = 1 << 60
			g := &greeter{}
			g.conn = http1.NewServer(cfg).NewConn(wiretest.NewWire(), g)
			feed := func(p []byte) {
				if n, err := g.turn(p, wiretest.Epoch); n != len(p) || err != nil {
					b.Fatal(n, err)
				}
			}
			head, body, got := []byte(row.head), []byte(row.body), 0
			feed(head)
			b.ReportAllocs()
			b.SetBytes(size)
			for b.Loop() {
				if got += size; got > 900_000_000 && row.name == "length" {
					*g = greeter{conn: http1.NewServer(cfg).NewConn(wiretest.NewWire(), g)}
					got = 0
					feed(head)
				}
				feed(body)
			}
		})
	}
}

// BenchmarkRefuse measures the cost of nonsense.
func BenchmarkRefuse(b *testing.B) {
	server := http1.NewServer(http1.DefaultConfig())
	wire := wiretest.NewWire()
	in := []byte("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		c := server.NewConn(wire, late{})
		_, err := c.Feed(in)
		c.Sent(len(c.Pending()))
		c.Lost(err)
	}
}
