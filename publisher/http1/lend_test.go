package http1_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// TestLend: lent pieces arrive whole and in order on a wire that cuts at random. Their buffer is
// overwritten as soon as it is free, and other answers come before and after them.
func TestLend(t *testing.T) {
	wiretest.Seeds(t, 60, func(t *testing.T, seed int64) {
		random := rand.New(rand.NewSource(seed))
		clock := wiretest.NewClock()
		r := newRecorder(limits)
		requests := 0
		var want strings.Builder
		r.onEnd = func() {
			requests++
			body := bytes.Repeat(fmt.Appendf(nil, "<%d>", requests), 1+random.Intn(2000))
			want.Write(body)
			if requests%4 == 0 {
				r.conn.Answer(200, "", nil, body)
				return
			}
			length := int64(len(body))
			if requests%5 == 0 {
				length = -1
			}
			r.conn.Start(200, nil, length)
			var buf []byte
			var next func()
			next = func() {
				if r.conn.OutLen() > 0 && buf != nil { // still lent
					clock.After(time.Second, next)
					return
				}
				for i := range buf {
					buf[i] = '!'
				}
				if len(body) == 0 {
					r.conn.Finish()
					return
				}
				from := []int{0, 20, http1.LendRoom}[random.Intn(3)]
				n := min(len(body), 1+random.Intn(1500))
				buf = append(make([]byte, from), body[:n]...)
				body = body[n:]
				lent, err := r.conn.Lend(buf, from)
				if err != nil {
					t.Fatal(err)
				}
				if !lent {
					buf = nil
				}
				clock.After(time.Second, next)
			}
			next()
		}
		client := wiretest.NewScript()
		client.HalfOpen = true
		link := wiretest.Join(t, clock, seed, r.wire.Bind(r.conn), client.Peer())
		for range 12 {
			client.SayString(get11)
		}
		client.Shut()
		link.Run()
		clock.Advance(24 * time.Hour)
		got := ""
		for _, part := range strings.Split(string(client.Got), "HTTP/1.1 200 OK\r\n")[1:] {
			head, body, _ := strings.Cut(part, "\r\n\r\n")
			if strings.Contains(head, "chunked") {
				body = unchunk(t, body)
			}
			got += body
		}
		if got != want.String() {
			t.Fatalf("answers\n got %d octets %.200q\nwant %d", len(got), got, want.Len())
		}
	})
}

// unchunk undoes the transfer coding.
func unchunk(t *testing.T, in string) (body string) {
	for {
		var n int
		line, rest, _ := strings.Cut(in, "\r\n")
		if _, err := fmt.Sscanf(line, "%x", &n); err != nil || len(rest) < n {
			t.Fatalf("chunk %q: %v", line, err)
		}
		if n == 0 {
			return body
		}
		body += rest[:n]
		in = rest[n+2:]
	}
}

// TestLendTooMuch: a lent piece cannot make an answer longer than announced.
func TestLendTooMuch(t *testing.T) {
	r := newRecorder(limits)
	r.onEnd = func() {}
	_, _ = r.conn.Feed([]byte(get11))
	r.conn.Start(200, nil, 3)
	if lent, err := r.conn.Lend([]byte("four"), 0); lent || err != http1.ErrLongAnswer {
		t.Errorf("%t, %v", lent, err)
	}
}
