package httpdoor_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// TestStreamsShareATurn: however many streams begin at once, and however much each
// writes at once, what they produce in a turn and what waits for each client is
// bounded; all of them end.
func TestStreamsShareATurn(t *testing.T) {
	const long, clients = 300 << 10, 200
	produced := 0
	whole := make([]byte, long)
	h := newBoundHost(t, httpdoor.Limits{}, publisher.Options{}, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("GET /whole", func(r *publisher.Request) error {
			return r.Stream(200, "", long, func(w *publisher.Stream) error { _, err := w.Write(whole); return err })
		})
		g.Handle("GET /parts", func(r *publisher.Request) error {
			return r.Stream(200, "", -1, func(w *publisher.Stream) error {
				for range long / 1024 {
					if _, err := w.Write(whole[:1024]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	})
	var all []*client
	held := func() (n int) {
		for _, c := range all {
			n += len(c.peer.Pending())
		}
		return n
	}
	for i := range clients {
		c := h.dial(t)
		all = append(all, c)
		before := held()
		_, _ = c.peer.Feed([]byte("GET " + []string{"/whole", "/parts"}[i%2] + " HTTP/1.1\r\nHost: x\r\n\r\n"))
		if n := len(c.peer.Pending()); n > 128<<10 {
			t.Fatalf("%d octets wait for one client", n)
		}
		produced += held() - before
	}
	if most := 1<<20 + clients*(33<<10); produced > most {
		t.Fatalf("%d octets were produced in a turn, want at most %d", produced, most)
	}
	for turn := range 10_000 {
		h.passed = time.Duration(turn) * time.Millisecond
		for _, c := range all[:min(len(all), 4)] { // the loop writes for some in a turn
			out := c.peer.Pending()
			c.got.WriteString(string(out))
			c.peer.Sent(len(out))
		}
		h.run()
		all = append(all[min(len(all), 4):], all[:min(len(all), 4)]...)
		if h.server.Live() == 0 {
			break
		}
	}
	if h.server.Live() != 0 {
		t.Fatalf("%d streams have not ended", h.server.Live())
	}
	for _, c := range all {
		out := c.peer.Pending()
		c.got.WriteString(string(out))
		if n := strings.Count(c.got.String(), "\x00"); n != long {
			t.Fatalf("a stream of %d octets came as %d", long, n)
		}
	}
}
