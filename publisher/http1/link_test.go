package http1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/wiretest"
)

// TestLink: a client that sends all its requests at once and half-closes gets
// every answer, over a wire that cuts, keeps and delays as it likes, from an
// application that answers some at once, some late, and some piece by piece.
func TestLink(t *testing.T) {
	wiretest.Seeds(t, 40, func(t *testing.T, seed int64) {
		clock := wiretest.NewClock()
		r := newRecorder(limits)
		requests := 0
		r.onEnd = func() {
			requests++
			body := fmt.Appendf(nil, "<%d:%s>", requests, r.body)
			switch requests % 3 {
			case 0:
				r.conn.Answer(200, "", nil, body)
			case 1:
				clock.After(time.Second, func() { r.conn.Answer(200, "", nil, body) })
			case 2:
				r.conn.Start(200, nil, -1)
				for i := range body {
					clock.After(time.Duration(i)*time.Second, func() {
						_ = r.conn.Write(body[i : i+1])
						if i == len(body)-1 {
							r.conn.Finish()
						}
					})
				}
			}
		}
		client := wiretest.NewScript()
		client.HalfOpen = true
		link := wiretest.Join(t, clock, seed, r.wire.Bind(r.conn), client.Peer())
		want := ""
		for i := 1; i <= 30; i++ {
			body := strings.Repeat("x", i)
			if i%2 == 0 {
				client.SayString(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, i, body))
			} else {
				client.SayString(fmt.Sprintf("%s%x;e\r\n%s\r\n0\r\nT: u\r\n\r\n", chunkedPost, i, body))
			}
			answer := fmt.Sprintf("<%d:%s>", i, body)
			if i%3 != 2 {
				want += answer
				continue
			}
			for _, c := range answer {
				want += fmt.Sprintf("1\r\n%c\r\n", c)
			}
			want += "0\r\n\r\n"
		}
		client.Shut()
		link.Run()
		clock.Advance(time.Hour)
		got := ""
		for _, part := range strings.Split(string(client.Got), "HTTP/1.1 200 OK\r\n")[1:] {
			_, body, _ := strings.Cut(part, "\r\n\r\n")
			got += body
		}
		if got != want {
			t.Fatalf("answers\n got %q\nwant %q", got, want)
		}
		if r.gone != 1 || !client.Ended {
			t.Fatalf("not closed in an orderly way: gone %d, ended %t", r.gone, client.Ended)
		}
	})
}

// TestLinkHostile: whatever a wire delivers of requests with an error among them, the
// requests before the error are answered, the error is answered, and nothing after it is.
func TestLinkHostile(t *testing.T) {
	wiretest.Seeds(t, 40, func(t *testing.T, seed int64) {
		row := badFraming[int(uint64(seed)%uint64(len(badFraming)))]
		clock := wiretest.NewClock()
		r := newRecorder(limits)
		r.onEnd = func() {
			clock.After(time.Second, func() { r.conn.Answer(200, "", nil, nil) })
		}
		client := wiretest.NewScript()
		link := wiretest.Join(t, clock, seed, r.wire.Bind(r.conn), client.Peer())
		client.SayString(get11 + get11 + post + row.in + canary + canary)
		link.Run()
		clock.Advance(time.Minute)
		got := string(client.Got)
		if strings.Count(got, "HTTP/1.1 200 OK\r\n") != 2 || strings.Count(got, "\r\nServer: ") != 3 ||
			!strings.Contains(got, fmt.Sprintf("HTTP/1.1 %d ", row.status)) {
			t.Fatalf("%s: %s", row.name, got)
		}
		if !link.Over() || strings.Contains(r.log.String(), "canary") {
			t.Fatalf("%s: over %t\n%s", row.name, link.Over(), r.log.String())
		}
	})
}
