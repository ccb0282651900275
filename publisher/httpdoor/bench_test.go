package httpdoor_test

import (
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// BenchmarkHello is a request from its octets to those of the answer, through the machine, the
// door, the router and a handler, but without the loop and the system.
func BenchmarkHello(b *testing.B) {
	h := newHostOf(b, 0, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
		g.Handle("POST /orders", func(*publisher.Request) error { return nil })
		g.Handle("GET /orders/{id}", func(*publisher.Request) error { return nil })
		g.Handle("GET /livez", func(*publisher.Request) error { return nil })
	})
	x := h.door.Accept(closer{closed: new(int)})
	in := []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
	x.Tick(time.Unix(1, 0))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := x.Feed(in); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
		x.Sent(len(x.Pending()))
	}
}
