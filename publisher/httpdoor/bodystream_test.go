package httpdoor_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// A sender is a client that sends as fast as the server reads.
type sender struct {
	*client
	left string
}

// send sends what can be sent, and all of it if its call takes all.
func (c *sender) send(text string) {
	c.left += text
	for moved := true; moved && c.left != "" && !c.closed && !*c.paused; {
		n, err := c.peer.Feed([]byte(c.left[:min(len(c.left), 64<<10)]))
		c.left, moved = c.left[n:], n > 0
		c.closed = c.closed || err != nil
		c.turn()
	}
}

func newStreamHost(t testing.TB, limits httpdoor.Limits, cfg http1.Config, h publisher.Handler, options ...publisher.RouteOption) (*host, *sender) {
	t.Helper()
	host := newBoundHost(t, limits, publisher.Options{}, cfg, func(g *publisher.Registry) {
		g.Handle("POST /up", h, append(options, publisher.Streaming)...)
		g.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "hello "+r.Query().Get("n")) })
	})
	return host, &sender{client: host.dial(t)}
}

func upload(fields string) string { return "POST /up HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" }

// count reads the body to its end and answers with its length.
func count(r *publisher.Request) error {
	n, err := io.Copy(io.Discard, r.BodyReader())
	if err != nil {
		return err
	}
	return r.Text(200, fmt.Sprint(n, " ", r.Trailer("x-sum")))
}

// TestBodyStreams: the handler runs when the head is there, gets octets as they come, and its
// answer leaves when it returns.
func TestBodyStreams(t *testing.T) {
	var got []string
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{}, func(r *publisher.Request) error {
		got = append(got, "head")
		b := make([]byte, 100)
		for {
			n, err := r.BodyReader().Read(b)
			if err == io.EOF {
				return r.Text(200, "read")
			}
			if err != nil {
				return err
			}
			got = append(got, string(b[:n]))
		}
	})
	c.send(upload("Content-Length: 6\r\n"))
	c.send("abc")
	c.send("d")
	if s := fmt.Sprint(got); s != "[head abc d]" || h.server.Live() != 1 {
		t.Fatal(s)
	}
	c.send("ef" + hello)
	if s := c.take(); fmt.Sprint(got) != "[head abc d ef]" || strings.Count(s, "HTTP/1.1 200 ") != 2 || !strings.Contains(s, "read") || c.left != "" {
		t.Fatal(got, s)
	}
	if held := h.metric(t, "http_body_bytes"); held != 0 {
		t.Errorf("%v octets are held", held)
	}
}

// TestBodyStreamIsBounded: the server reads from the client no faster than the handler reads, so
// the memory is bounded whatever the length.
func TestBodyStreamIsBounded(t *testing.T) {
	size := 64 << 20
	if testing.Short() {
		size = 4 << 20
	}
	steps, most := 0, 0.0
	var h *host
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyMax: 1 << 30}, func(r *publisher.Request) error {
		b := make([]byte, 100_000)
		total := 0
		for {
			if err := r.Sleep(time.Second); err != nil {
				return err
			}
			n, err := io.ReadFull(r.BodyReader(), b)
			total += n
			steps++
			most = max(most, h.metric(t, "http_body_bytes"))
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return r.Text(200, fmt.Sprint(total))
			}
			if err != nil {
				return err
			}
		}
	})
	c.send(upload(fmt.Sprintf("Content-Length: %d\r\n", size)))
	piece := strings.Repeat("x", 1<<20)
	for sent := 0; sent < size; sent += len(piece) {
		c.send(piece)
		if !*c.paused {
			t.Fatal("a client is read on while the handler sleeps")
		}
		for len(c.left) > 0 {
			h.wake()
			c.turn()
			c.send("")
		}
	}
	for range 10 {
		h.wake()
		c.turn()
	}
	if s := c.take(); !strings.HasSuffix(s, fmt.Sprint("\r\n\r\n", size)) || steps < size/100_000 || most != publisher.BodyReserve {
		t.Fatalf("%q, %d steps, %v octets held at most", s, steps, most)
	}
}

// TestBodyStreamBreaks: a body that is cut, too long or too slow is an error of Read, and the
// call publishes nothing even if the handler hides it.
func TestBodyStreamBreaks(t *testing.T) {
	for _, row := range []struct {
		name, rest string
		then       func(h *host, c *sender)
		status     int
		is         error
		as         any
		answer     string
	}{
		{"lost", "abc", func(h *host, c *sender) { c.peer.Lost(errors.New("reset")) }, 400, publisher.ErrGone, nil, ""},
		{"half-closed", "3\r\nabc\r\n", func(h *host, c *sender) { c.peer.(interface{ EOF() bool }).EOF() }, 400, io.ErrUnexpectedEOF, nil, "HTTP/1.1 400 "},
		{"malformed", "3\r\nabc\r\nx\r\n", func(h *host, c *sender) {}, 400, io.ErrUnexpectedEOF, nil, "HTTP/1.1 400 "},
		{"too long", "3\r\nabc\r\nfffff\r\n", func(h *host, c *sender) {}, 413, nil, nil, "HTTP/1.1 413 "},
		{"too slow", "3\r\nabc\r\n", func(h *host, c *sender) { h.passed = time.Hour }, 408, nil, nil, "HTTP/1.1 408 "},
	} {
		t.Run(row.name, func(t *testing.T) {
			var failed error
			read := ""
			sent := 0
			h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyMax: 1000}, func(r *publisher.Request) error {
				b, err := io.ReadAll(r.BodyReader())
				read, failed = string(b), err
				if _, again := r.BodyReader().Read(make([]byte, 1)); again == nil || again == io.EOF {
					t.Errorf("the next Read returns %v", again)
				}
				if err := r.Join(participant{commit: func() { sent++ }}); err != nil {
					t.Error(err)
				}
				return nil
			})
			c.send(upload("Transfer-Encoding: chunked\r\n"))
			c.send(row.rest)
			row.then(h, c)
			h.run()
			if row.name != "lost" {
				c.turn()
				h.run()
			}
			var status *publisher.StatusError
			if !errors.As(failed, &status) || status.Status != row.status || row.is != nil && !errors.Is(failed, row.is) {
				t.Errorf("the error is %v", failed)
			}
			if row.name != "lost" && read != "abc" {
				t.Errorf("read %q before it", read)
			}
			if got := c.take(); !strings.HasPrefix(got, row.answer) || strings.Count(got, "HTTP/1.1 ") > 1 {
				t.Errorf("answer %q", got)
			}
			if h.server.Live() != 0 || sent != 0 || h.metric(t, "http_body_bytes") != 0 {
				t.Errorf("%d calls live, %d committed", h.server.Live(), sent)
			}
		})
	}
}

// participant notes its commit.
type participant struct{ commit func() }

func (p participant) Prepare(*publisher.Request) error { return nil }
func (p participant) Commit(*publisher.Request) error  { p.commit(); return nil }
func (p participant) Abort(*publisher.Request)         {}

// TestBodyStreamUnread: a handler that does not read its body answers at once.
func TestBodyStreamUnread(t *testing.T) {
	answer := func(r *publisher.Request) error { return r.Text(200, "answered") }
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyMax: 1 << 30}, answer)
	c.send(upload("Content-Length: 200000\r\n"))
	if got := c.take(); !strings.Contains(got, "answered") || strings.Contains(got, "close") {
		t.Fatal(got)
	}
	c.send(strings.Repeat("x", 200_000) + hello)
	if got := c.take(); strings.Count(got, "HTTP/1.1 200 ") != 1 || !strings.Contains(got, "hello 1") || *c.paused {
		t.Fatal(got)
	}
	c.send(upload("Expect: 100-continue\r\nContent-Length: 2\r\n"))
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "Connection: close\r\n") || !c.closed {
		t.Fatal(got)
	}
	c = &sender{client: h.dial(t)}
	c.send(upload("Content-Length: 1000000\r\n"))
	if got := c.take(); !strings.Contains(got, "Connection: close\r\n") || !c.closed {
		t.Fatal(got)
	}
	// The same if the client was held back before.
	h, c = newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyMax: 1 << 30}, func(r *publisher.Request) error {
		_ = r.Sleep(time.Second)
		return answer(r)
	})
	c.send(upload("Content-Length: 200000\r\n") + strings.Repeat("x", 200_000) + hello)
	if !*c.paused || len(c.left) < 100_000 {
		t.Fatalf("paused %t, %d octets are left", *c.paused, len(c.left))
	}
	h.wake()
	c.turn()
	c.send("")
	if got := c.take(); strings.Count(got, "HTTP/1.1 200 ") != 2 || *c.paused {
		t.Fatal(got)
	}
}

// TestBodyStreamContinue: 100 Continue is sent at the first Read.
func TestBodyStreamContinue(t *testing.T) {
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{}, func(r *publisher.Request) error {
		if err := r.Sleep(time.Second); err != nil {
			return err
		}
		return count(r)
	})
	c.send(upload("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"))
	if got := c.take(); got != "" {
		t.Fatal(got)
	}
	h.wake()
	c.turn()
	if got := c.take(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatal(got)
	}
	c.send("3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
	if got := c.take(); !strings.HasSuffix(got, "3 7") || c.closed {
		t.Fatal(got)
	}
}

// TestBodyStreamConflict: a call whose body streams does not run again.
func TestBodyStreamConflict(t *testing.T) {
	runs := 0
	h := newBoundHost(t, httpdoor.Limits{}, publisher.Options{ConflictRetries: 3}, http1.Config{}, func(g *publisher.Registry) {
		conflicts := func(r *publisher.Request) error { runs++; return publisher.ErrConflict }
		g.Handle("POST /up", conflicts, publisher.Streaming)
		g.Handle("POST /whole", conflicts)
	})
	c := &sender{client: h.dial(t)}
	c.send(upload("Content-Length: 2\r\n") + "ab")
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 409 ") || runs != 1 {
		t.Fatal(got, runs)
	}
	c.send(strings.Replace(upload("Content-Length: 2\r\n"), "/up", "/whole", 1) + "ab")
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 409 ") || runs != 5 {
		t.Fatal(got, runs)
	}
}

// TestBodyStreamWhole: Body, Decode and Content of a streaming route wait for what is left.
func TestBodyStreamWhole(t *testing.T) {
	h, c := newStreamHost(t, httpdoor.Limits{Bodies: 3 << 20}, http1.Config{}, func(r *publisher.Request) error {
		first := make([]byte, 1)
		if _, err := io.ReadFull(r.BodyReader(), first); err != nil {
			return err
		}
		body, again := r.Body(), r.Body()
		if body == nil {
			return nil // the call fails nevertheless
		}
		if content, err := r.Content(); err != nil || string(content) != string(body) || string(again) != string(body) {
			t.Errorf("Content returns %d octets, %v", len(content), err)
		}
		if n, err := r.BodyReader().Read(first); n != 0 || err != io.EOF {
			t.Errorf("Read after Body: %d %v", n, err)
		}
		return r.Text(200, fmt.Sprint(len(body), strings.Count(string(body), "b")))
	})
	for _, size := range []int{2, 100, 200_000, 2 << 20} {
		c.send(upload(fmt.Sprintf("Content-Length: %d\r\n", size)) + "a")
		c.send(strings.Repeat("b", size-1))
		c.turn()
		if got := c.take(); !strings.HasSuffix(got, fmt.Sprint("\r\n\r\n", size-1, " ", size-1)) {
			t.Fatalf("%d: %q", size, got)
		}
	}
	if held := h.metric(t, "http_body_bytes"); held != 0 {
		t.Fatalf("%v octets are held", held)
	}
	c.send(upload("Content-Length: 4000000\r\n") + strings.Repeat("b", 4_000_000))
	c.turn()
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") || h.metric(t, "http_body_bytes") != 0 {
		t.Fatalf("over http.bodies_max: %.200q", got)
	}
}

// TestBodyStreamRoom: a streaming body counts with the most that it may use, and is refused if
// other bodies use the room.
func TestBodyStreamRoom(t *testing.T) {
	h, c := newStreamHost(t, httpdoor.Limits{Bodies: 200_000}, http1.Config{}, count)
	var clients []*sender
	for range 2 {
		other := &sender{client: h.dial(t)}
		other.send(upload("Content-Length: 100000\r\n") + "a")
		clients = append(clients, other)
	}
	if held := h.metric(t, "http_body_bytes"); held != 2*publisher.BodyReserve {
		t.Fatalf("%v octets are held", held)
	}
	c.send(upload("Expect: 100-continue\r\nContent-Length: 100000\r\n"))
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Fatal(got)
	}
	for _, other := range clients {
		other.send(strings.Repeat("b", 99_999))
		if got := other.take(); !strings.HasSuffix(got, "100000 ") {
			t.Fatal(got)
		}
	}
	if held := h.metric(t, "http_body_bytes"); held != 0 {
		t.Fatalf("%v octets are held", held)
	}
}

// TestBodyStreamWaits: during a drain a body still arrives; server.call_timeout counts from the
// last octets that were read; and what ends the waits of a call ends a Read.
func TestBodyStreamWaits(t *testing.T) {
	cut := errors.New("cut")
	var failed error
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyRateMin: -1}, func(r *publisher.Request) error {
		_, failed = io.Copy(io.Discard, r.BodyReader())
		return count(r)
	})
	c.send(upload("Content-Length: 9\r\n") + "abc")
	h.server.BeginDrain()
	drained := false
	h.door.Drain(func() { drained = true })
	h.passed = time.Minute
	c.send("def")
	h.server.CancelOlder(h.Now().Add(-time.Second), cut)
	if h.run(); failed != nil || h.server.Live() != 1 {
		t.Fatalf("ended by %v although octets have come", failed)
	}
	h.passed = 2 * time.Minute
	h.server.CancelOlder(h.Now().Add(-time.Second), cut)
	h.run()
	c.turn()
	if !errors.Is(failed, cut) || h.server.Live() != 0 {
		t.Fatalf("ended by %v, %d calls live", failed, h.server.Live())
	}
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 500 ") || !strings.Contains(got, "Connection: close") || !c.closed {
		t.Fatal(got)
	}
	if c.peer.Lost(nil); !drained {
		t.Error("the drain has not ended")
	}
}

// TestBodyStreamHalfClose: if a client closes its side after its body, the body is whole.
func TestBodyStreamHalfClose(t *testing.T) {
	h, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{}, func(r *publisher.Request) error {
		_ = r.Sleep(time.Second)
		return count(r)
	})
	c.send(upload("Content-Length: 60000\r\n") + strings.Repeat("x", 60_000))
	if !c.peer.(interface{ EOF() bool }).EOF() {
		t.Fatal("no answer is due")
	}
	h.run()
	c.turn()
	if got := c.take(); !strings.HasSuffix(got, "60000 ") {
		t.Fatal(got)
	}
}

// TestBodyStreamAnswersMeanwhile: an answer that streams can read the body.
func TestBodyStreamAnswersMeanwhile(t *testing.T) {
	_, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{BodyMax: 1 << 30}, func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
			_, err := io.Copy(w, r.BodyReader())
			return err
		})
	})
	c.send(upload("Content-Length: 1000000\r\n"))
	c.send("abc")
	if got := c.take(); !strings.HasSuffix(got, "\r\n\r\n3\r\nabc\r\n") || strings.Contains(got, "close") {
		t.Fatal(got)
	}
	c.send(strings.Repeat("x", 1_000_000-3) + hello)
	for c.left != "" {
		c.turn()
		c.send("")
	}
	if got := c.take(); len(got) < 1_000_000 || !strings.Contains(got, "hello 1") || c.closed {
		t.Fatalf("%d octets, closed %t", len(got), c.closed)
	}
}

// TestBodyStreamApart: the body can be read in an Offload, and by one reader at a time.
func TestBodyStreamApart(t *testing.T) {
	_, c := newStreamHost(t, httpdoor.Limits{}, http1.Config{}, func(r *publisher.Request) error {
		r.Go(func() error { _, err := r.BodyReader().Read(make([]byte, 1)); return err })
		if _, err := r.BodyReader().Read(make([]byte, 1)); err == nil {
			t.Error("two readers at once")
		}
		if err := r.Wait(); err != nil {
			return err
		}
		return r.Offload(func() error { return count(r) })
	})
	c.send(upload("Content-Length: 4\r\n"))
	c.send("ab")
	c.send("cd")
	if got := c.take(); !strings.HasSuffix(got, "3 ") {
		t.Fatal(got)
	}
}

// TestBodyMaxOfARoute: a route may take more or less than http.body_max.
func TestBodyMaxOfARoute(t *testing.T) {
	whole := func(r *publisher.Request) error { return r.Text(200, fmt.Sprint(len(r.Body()))) }
	h := newBoundHost(t, httpdoor.Limits{}, publisher.Options{}, http1.Config{BodyMax: 1000}, func(g *publisher.Registry) {
		g.Handle("POST /up", count, publisher.Streaming, publisher.BodyMax(1_000_000))
		g.Handle("POST /less", whole, publisher.BodyMax(10))
		g.Handle("POST /default", whole)
	})
	for _, row := range []struct {
		path   string
		size   int
		status string
	}{
		{"/up", 1_000_000, "200"}, {"/up", 1_000_001, "413"},
		{"/less", 10, "200"}, {"/less", 11, "413"},
		{"/default", 1000, "200"}, {"/default", 1001, "413"},
		{"/nowhere", 1_000_001, "413"},
	} {
		for _, chunked := range []bool{false, true} {
			if chunked && row.path == "/nowhere" {
				continue
			}
			c := &sender{client: h.dial(t)}
			fields, body := fmt.Sprintf("Content-Length: %d\r\n", row.size), strings.Repeat("x", row.size)
			if chunked {
				fields, body = "Transfer-Encoding: chunked\r\n", fmt.Sprintf("a\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:10], row.size-10, body[10:])
				if row.size == 10 {
					body = "a\r\n0123456789\r\n0\r\n\r\n"
				}
			}
			c.send(strings.Replace(upload(fields), "/up", row.path, 1) + body)
			if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 "+row.status) || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("%s %d %t: %.100q", row.path, row.size, chunked, got)
			}
			c.peer.Lost(nil)
			h.run()
		}
	}
	if held := h.metric(t, "http_body_bytes"); held != 0 || h.server.Live() != 0 {
		t.Errorf("%v octets are held by %d calls", held, h.server.Live())
	}
}
