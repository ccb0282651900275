package loop_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"zamqp/loop"
)

var (
	request = []byte("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer  = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")
)

// fixed answers every request head with the same bytes: what is measured is the loop.
type fixed struct {
	conn      *loop.Conn
	out, keep []byte
}

func (f *fixed) Feed(in []byte) (n int, err error) {
	for {
		i := bytes.Index(in[n:], []byte("\r\n\r\n"))
		if i < 0 {
			return n, nil
		}
		n += i + 4
		f.out = append(f.out, answer...)
		f.conn.Wake()
	}
}
func (f *fixed) Pending() []byte { return f.out }
func (f *fixed) Sent(n int) {
	if f.out = f.out[n:]; len(f.out) == 0 {
		f.out = f.keep[:0]
	}
}
func (f *fixed) Tick(now time.Time) time.Time { return now.Add(time.Minute) }
func (f *fixed) Lost(error)                   {}

// BenchmarkRequest is one round trip at a time, BenchmarkPipelined sixteen requests in one. Both
// include the client.
func BenchmarkRequest(b *testing.B)   { benchmark(b, 1) }
func BenchmarkPipelined(b *testing.B) { benchmark(b, 16) }

func benchmark(b *testing.B, depth int) {
	r := start(b, loop.Options{StallWarning: 100 * time.Millisecond})
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &fixed{conn: c, keep: make([]byte, 0, 4096)}
	})
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	out, in := bytes.Repeat(request, depth), make([]byte, len(answer)*depth)
	b.SetBytes(int64(len(out) + len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPost is a function posted and answered.
func BenchmarkPost(b *testing.B) {
	r := start(b, loop.Options{})
	done := make(chan struct{}, 1)
	fn := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		r.Post(fn)
		<-done
	}
}
