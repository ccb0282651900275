package httpdoor_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// TestLargeBodyIsPutTogetherInPieces: a body of many megabytes is in one place for its
// handler. If its length was announced, it is there when it has arrived; otherwise the rest
// is copied, a megabyte a turn.
func TestLargeBodyIsPutTogetherInPieces(t *testing.T) {
	size := 40<<20 + 12345
	if testing.Short() {
		size = 4<<20 + 512<<10 + 12345
	}
	body := make([]byte, size)
	for i := 0; i+8 <= len(body); i += 8 {
		binary.LittleEndian.PutUint64(body[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			calls := 0
			h := newBoundHost(t, httpdoor.Limits{}, publisher.Options{}, http1.Config{BodyMax: 1 << 30}, func(g *publisher.Registry) {
				g.Handle("POST /", func(r *publisher.Request) error {
					calls++
					if !bytes.Equal(r.Body(), body) {
						t.Errorf("the handler got another body of %d octets", len(r.Body()))
					}
					return r.Reply(204, nil)
				})
			})
			c := h.dial(t)
			if chunked {
				c.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			} else {
				c.say(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
			}
			const piece = 64 << 10
			for at := 0; at < size; at += piece {
				part := body[at:min(at+piece, size)]
				in := string(part)
				if chunked {
					in = fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
				}
				c.say(in)
			}
			if chunked {
				c.say("0\r\n\r\n")
			}
			turns := 0
			for ; calls == 0 && turns < 1000; turns++ {
				c.turn()
			}
			if got := c.take(); calls != 1 || !strings.HasPrefix(got, "HTTP/1.1 204 ") {
				t.Fatalf("%d calls, answer %.60q", calls, got)
			}
			if chunked && turns == 0 {
				t.Error("the body was put together in the turn of its end")
			}
			if !chunked && turns > 0 {
				t.Errorf("a body of known length took %d turns after its end", turns)
			}
		})
	}
}

// TestLargeAnswerLeavesInPieces: an answer of many megabytes is copied to the output as fast
// as the client takes it, and the next answer follows it.
func TestLargeAnswerLeavesInPieces(t *testing.T) {
	size := 40<<20 + 12345
	if testing.Short() {
		size = 4<<20 + 12345
	}
	body := make([]byte, size)
	for i := 0; i+8 <= len(body); i += 8 {
		binary.LittleEndian.PutUint64(body[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	h := newHostOf(t, 0, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("GET /large", func(r *publisher.Request) error { return r.Bytes(200, "a/b", body) })
		g.Handle("GET /empty", func(r *publisher.Request) error { return r.Bytes(304, "a/b", body) })
		g.Handle("GET /last", func(r *publisher.Request) error { return r.Text(200, "last") })
	})
	c := h.dial(t)
	head := func(method, path string) string { return method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	c.say(head("HEAD", "/large"))
	c.turn()
	length := fmt.Sprintf("Content-Length: %d\r\n", size)
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, length) || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Fatalf("HEAD: %d octets, %.200q", len(got), got)
	}
	c.say(head("GET", "/empty"))
	c.turn()
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 304 ") || !strings.HasSuffix(got, "\r\n\r\n") || len(got) > 1000 {
		t.Fatalf("304: %d octets, %.200q", len(got), got)
	}
	c.say(head("GET", "/large"))
	var all strings.Builder
	for turn := 0; all.Len() < size && turn < 10*size>>20; turn++ {
		c.turn()
		got := c.take()
		if len(got) > 1<<20 {
			t.Fatalf("%d octets in one turn", len(got))
		}
		all.WriteString(got)
	}
	c.say(head("GET", "/last"))
	c.turn()
	first, rest, _ := strings.Cut(all.String(), "\r\n\r\n")
	if !strings.Contains(first+"\r\n", "Content-Type: a/b\r\n") || !strings.Contains(first+"\r\n", length) || rest != string(body) {
		t.Errorf("head %q, %d octets of body", first, len(rest))
	}
	if got := c.take(); !strings.HasSuffix(got, "last") {
		t.Errorf("behind it: %q", got)
	}
	c.say(head("GET", "/large"))
	c.turn()
	c.peer.Lost(errors.New("pulled"))
	c.peer.Sent(0)
}
