package http1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// TestPipeline: requests behind one another in one piece are answered in one
// piece, in order. RFC 9112 §9.3.2.
func TestPipeline(t *testing.T) {
	r := newRecorder(limits)
	var in strings.Builder
	for i := range 16 {
		fmt.Fprintf(&in, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%x", i, i)
	}
	n, err := r.conn.Feed([]byte(in.String()))
	if n != in.Len() || err != nil {
		t.Fatal(n, err)
	}
	if got := strings.Count(string(r.conn.Pending()), "200 OK"); got != 16 {
		t.Fatalf("%d answers in one write", got)
	}
	if log := r.log.String(); !strings.HasSuffix(log, "end body=\"f\"\n") || strings.Count(log, "end ") != 16 {
		t.Fatal(log)
	}
}

// TestBusy: while a request is being answered nothing of the next is taken, and
// a late answer asks for it.
func TestBusy(t *testing.T) {
	r := newRecorder(limits)
	r.onEnd = func() {}
	rest, err := r.feedString(get11 + canary)
	if err != nil || rest != canary {
		t.Fatal(rest, err)
	}
	if n, err := r.conn.Feed([]byte(canary)); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if next := r.conn.Tick(wiretest.Epoch.Add(time.Hour)); !next.IsZero() {
		t.Fatalf("a deadline while the application is busy: %v", next)
	}
	r.conn.Answer(200, "", nil, nil)
	if r.wire.Woken != 1 {
		t.Fatalf("woken %d times", r.wire.Woken)
	}
	if rest, err = r.feedString(rest); rest != "" || err != nil || !strings.Contains(r.log.String(), "/canary") {
		t.Fatal(rest, err)
	}
}

// TestHeldBack: a client that sends requests and reads no answers does not fill
// our memory, and is served when it has read.
func TestHeldBack(t *testing.T) {
	cfg := limits
	cfg.OutMax = 1000
	r := newRecorder(cfg)
	in := []byte(strings.Repeat(get11, 100))
	served := 0
	for turn := 0; len(in) > 0; turn++ {
		n, err := r.conn.Feed(in)
		if err != nil {
			t.Fatal(err)
		}
		in = in[n:]
		if out := r.conn.OutLen(); out > 1200 {
			t.Fatalf("%d octets of output", out)
		}
		if next := r.conn.Tick(wiretest.Epoch); len(in) > 0 && next != wiretest.Epoch.Add(60*time.Second) {
			t.Fatalf("the deadline of a client that is held back is %v", next)
		}
		woken := r.wire.Woken
		p := len(r.conn.Pending())
		r.conn.Sent(p / 3)
		r.conn.Sent(p - p/3)
		if len(in) > 0 && r.wire.Woken != woken+1 {
			t.Fatal("held back, and not woken when output had left")
		}
		served = turn
	}
	if n := strings.Count(r.log.String(), "end "); n != 100 || served < 5 {
		t.Fatal(n, served)
	}
}

// TestExpect: 100 Continue is sent when the body was asked for and is not there.
// RFC 9110 §10.1.1.
func TestExpect(t *testing.T) {
	const head = post + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	r := newRecorder(limits)
	_, _ = r.feedString(head)
	if got := r.answered(); got != interim {
		t.Fatalf("%q", got)
	}
	_, _ = r.feedString("abc")
	if got := r.answered(); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Fatalf("%q", got)
	}

	_, _ = r.feedString(head + "a")
	if got := r.answered(); got != "" {
		t.Fatalf("the body is there, and yet: %q", got)
	}

	r = newRecorder(limits)
	r.onHead = func(*http1.Head) int { return 403 }
	_, err := r.feedString(head)
	if got := r.answered(); statusOf(t, err) != 403 || !strings.HasPrefix(got, "HTTP/1.1 403 Forbidden\r\n") || !strings.Contains(got, "Connection: close\r\n") {
		t.Fatalf("%q %v", got, err)
	}

	r = newRecorder(limits)
	_, _ = r.feedString("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
	if got := r.answered(); got != "" {
		t.Fatalf("an interim answer to HTTP/1.0: %q", got)
	}
}

// TestEarlyAnswer: an answer before the body was read closes the connection, since the rest
// cannot be waited for. One at the body's last octet does not.
func TestEarlyAnswer(t *testing.T) {
	answer := func(r *recorder) { r.conn.Answer(413, "", nil, nil) }
	for _, row := range []struct {
		name, in string
		in2      string
		set      func(r *recorder)
		closes   bool
	}{
		{"in Head, body to come", post + "Content-Length: 3\r\n\r\n", "abc",
			func(r *recorder) { r.onHead = func(*http1.Head) int { answer(r); return 0 } }, true},
		{"in Head, no body", get11, "",
			func(r *recorder) { r.onHead = func(*http1.Head) int { answer(r); return 0 } }, false},
		{"in Body, more to come", post + "Content-Length: 3\r\n\r\na", "bc",
			func(r *recorder) { r.onBody = func([]byte) { answer(r) } }, true},
		{"in Body, the last of it", post + "Content-Length: 3\r\n\r\nabc", "",
			func(r *recorder) { r.onBody = func([]byte) { answer(r) } }, false},
		{"in Body, within chunks", chunkedPost + "1\r\na\r\n", "0\r\n\r\n",
			func(r *recorder) { r.onBody = func([]byte) { answer(r) } }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRecorder(limits)
			row.set(r)
			_, err := r.feed([]byte(row.in), []byte(row.in2+canary))
			if errors.Is(err, http1.ErrUnread) != row.closes {
				t.Fatalf("%v", err)
			}
			out := r.answered()
			if strings.Contains(out, "Connection: close") != row.closes || !strings.HasPrefix(out, "HTTP/1.1 413 ") {
				t.Fatal(out)
			}
			if strings.Contains(r.log.String(), "canary") == row.closes {
				t.Fatal(r.log.String())
			}
		})
	}
	t.Run("between feeds", func(t *testing.T) {
		r := newRecorder(limits)
		_, _ = r.feedString(post + "Content-Length: 3\r\n\r\na")
		answer(r)
		if r.wire.Closed != 1 || !strings.Contains(string(r.conn.Pending()), "Connection: close") {
			t.Fatalf("closed %d: %s", r.wire.Closed, r.conn.Pending())
		}
	})
	t.Run("streamed while the body comes", func(t *testing.T) {
		r := newRecorder(limits)
		_, _ = r.feedString(post + "Content-Length: 3\r\n\r\na")
		r.conn.Start(200, nil, -1)
		r.onEnd = func() { _ = r.conn.Write([]byte("x")); r.conn.Finish() }
		_, err := r.feedString("bc" + canary)
		if out := r.answered(); err != nil || r.wire.Closed != 1 || !strings.HasSuffix(out, "Connection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n") {
			t.Fatalf("%v closed %d: %s", err, r.wire.Closed, out)
		}
	})
}

// TestEOF: a client that has half-closed its side still gets its answers. RFC 9112 §9.6.
func TestEOF(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		r := newRecorder(limits)
		if r.conn.EOF() {
			t.Fatal("an idle connection has more to say")
		}
	})
	t.Run("busy", func(t *testing.T) {
		r := newRecorder(limits)
		r.onEnd = func() {}
		_, _ = r.feedString(get11)
		if !r.conn.EOF() {
			t.Fatal("the answer is due")
		}
		r.conn.Answer(200, "", nil, nil)
		if r.flush(); r.wire.Closed != 1 || !strings.HasPrefix(r.answered(), "HTTP/1.1 200") {
			t.Fatal("not closed after the answer")
		}
	})
	t.Run("busy, with more requests kept by the wire", func(t *testing.T) {
		r := newRecorder(limits)
		r.onEnd = func() {}
		rest, _ := r.feedString(get11 + get11 + canary)
		if !r.conn.EOF() {
			t.Fatal("answers are due")
		}
		for i := 0; i < 3; i++ {
			if r.wire.Closed != 0 {
				t.Fatalf("closed after %d answers", i)
			}
			r.conn.Answer(200, "", nil, nil)
			rest, _ = r.feedString(rest)
		}
		r.flush()
		if r.wire.Closed != 1 || strings.Count(r.answered(), "200 OK") != 3 {
			t.Fatal("not three answers and a close")
		}
	})
	t.Run("within a body", func(t *testing.T) {
		r := newRecorder(limits)
		_, _ = r.feedString(post + "Content-Length: 3\r\n\r\na")
		if r.conn.EOF() || r.gone != 1 {
			t.Fatal("waits for a body that cannot come")
		}
		if r.flush(); !strings.HasPrefix(r.answered(), "HTTP/1.1 400") {
			t.Fatal("not told")
		}
	})
	t.Run("within a head", func(t *testing.T) {
		r := newRecorder(limits)
		_, _ = r.feedString("GET / HT")
		if r.conn.EOF() {
			t.Fatal("waits for a head that cannot come")
		}
	})
}

func TestDeadlines(t *testing.T) {
	at := wiretest.Epoch
	later := func(d time.Duration) time.Time { return at.Add(d) }
	t.Run("idle from accept: closed without an answer", func(t *testing.T) {
		r := newRecorder(http1.DefaultConfig())
		if next := r.conn.Tick(later(74 * time.Second)); next != later(75*time.Second) || r.wire.Closed != 0 {
			t.Fatal(next)
		}
		r.conn.Tick(later(75 * time.Second))
		if r.wire.Closed != 1 || len(r.conn.Pending()) != 0 {
			t.Fatal("not closed, or not silent")
		}
	})
	t.Run("9110 §15.5.9 head, absolute", func(t *testing.T) {
		r := newRecorder(http1.DefaultConfig())
		in := "GET / HTTP/1.1\r\nHost: a\r\nX: "
		for i := range 10 {
			in += "y"
			_, _ = r.conn.Feed([]byte(in)) // as the loop does: all of it, again
			if next := r.conn.Tick(later(time.Duration(i) * time.Second)); next != later(10*time.Second) {
				t.Fatalf("after %d s the deadline is %v", i, next.Sub(at))
			}
		}
		r.conn.Tick(later(10 * time.Second))
		if r.flush(); r.wire.Closed != 1 || !strings.HasPrefix(r.answered(), "HTTP/1.1 408 ") {
			t.Fatal("not refused")
		}
	})
	t.Run("keep-alive begins with the answer", func(t *testing.T) {
		r := newRecorder(http1.DefaultConfig())
		_, _ = r.feedString(get11)
		if next := r.conn.Tick(later(50 * time.Second)); next != later(125*time.Second) {
			t.Fatal(next.Sub(at))
		}
	})
	t.Run("body: grace, then the minimum rate", func(t *testing.T) {
		r := newRecorder(http1.DefaultConfig())
		_, _ = r.feedString(post + "Content-Length: 100000\r\n\r\n")
		next := r.conn.Tick(later(0))
		if next != later(5*time.Second) {
			t.Fatal(next.Sub(at))
		}
		for s := 1; s <= 60; s++ { // 100 octets a second is just enough
			_, _ = r.conn.Feed(make([]byte, 100))
			if next = r.conn.Tick(later(time.Duration(s) * time.Second)); next != later(time.Duration(s+5)*time.Second) {
				t.Fatalf("after %d s the deadline is %v", s, next.Sub(at))
			}
		}
		_, _ = r.conn.Feed(make([]byte, 50_000)) // a fast start buys no hour
		if next = r.conn.Tick(later(60 * time.Second)); next != later(120*time.Second) {
			t.Fatal(next.Sub(at))
		}
		r.conn.Tick(next)
		if r.flush(); r.gone != 1 || r.wire.Closed != 1 || !strings.HasPrefix(r.answered(), "HTTP/1.1 408 ") {
			t.Fatal("not refused")
		}
	})
	t.Run("an answer that is read too slowly", func(t *testing.T) {
		cfg := http1.DefaultConfig()
		cfg.IdleTimeout = -1
		r := newRecorder(cfg)
		r.onEnd = func() { r.conn.Answer(200, "", nil, make([]byte, 100_000)) }
		_, _ = r.conn.Feed([]byte(get11))
		r.conn.Tick(later(0))
		for s := 1; s <= 100; s++ { // 100 octets a second are just enough
			r.conn.Sent(100)
			if next := r.conn.Tick(later(time.Duration(s) * time.Second)); next != later(time.Duration(s+60)*time.Second) {
				t.Fatalf("after %d s the deadline is %v", s, next.Sub(at))
			}
		}
		r.conn.Sent(50_000) // a fast part buys no hour
		for s := 101; s < 220; s++ {
			r.conn.Sent(50)
			if r.conn.Tick(later(time.Duration(s) * time.Second)); r.wire.Aborted > 0 {
				t.Fatalf("aborted after %d s", s)
			}
		}
		r.conn.Sent(50)
		r.conn.Tick(later(222 * time.Second))
		if !errors.Is(r.wire.Cause(), http1.ErrWriteTimeout) {
			t.Fatal(r.wire.Cause())
		}
	})
	t.Run("an answer that nobody reads", func(t *testing.T) {
		cfg := http1.DefaultConfig()
		cfg.AnswerRateMin = -1
		r := newRecorder(cfg)
		_, _ = r.conn.Feed([]byte(get11))
		if next := r.conn.Tick(later(0)); next != later(60*time.Second) {
			t.Fatal(next.Sub(at))
		}
		r.conn.Sent(10)
		if next := r.conn.Tick(later(60 * time.Second)); next != later(75*time.Second) || r.wire.Aborted != 0 {
			t.Fatal("progress does not count", next.Sub(at))
		}
		r.conn.Tick(later(75 * time.Second)) // idle, but unsent: closing
		r.conn.Tick(later(120 * time.Second))
		if !errors.Is(r.wire.Cause(), http1.ErrWriteTimeout) {
			t.Fatal(r.wire.Cause())
		}
	})
	t.Run("switched off", func(t *testing.T) {
		r := newRecorder(http1.Config{IdleTimeout: -1, HeadTimeout: -1, WriteTimeout: -1, BodyRateMin: -1})
		for _, in := range []string{"", "GET / HT", get11, post + "Content-Length: 3\r\n\r\na"} {
			_, _ = r.conn.Feed([]byte(in))
			if next := r.conn.Tick(later(time.Hour)); !next.IsZero() {
				t.Fatalf("after %q the deadline is %v", in, next)
			}
		}
	})
}

// TestFastReaderThatStops: a write causes no Tick, so the bound takes hold at the
// deadline that was set before the write.
func TestFastReaderThatStops(t *testing.T) {
	at := wiretest.Epoch
	later := func(d time.Duration) time.Time { return at.Add(d) }
	cfg := http1.DefaultConfig()
	cfg.IdleTimeout = -1
	r := newRecorder(cfg)
	r.onEnd = func() { r.conn.Answer(200, "", nil, make([]byte, 100_000)) }
	_, _ = r.conn.Feed([]byte(get11))
	r.conn.Tick(later(0))
	r.conn.Sent(50_000) // 500 s at the minimum rate; nothing ticks before the old deadline
	if next := r.conn.Tick(later(60 * time.Second)); next != later(120*time.Second) || r.wire.Aborted != 0 {
		t.Fatalf("the deadline is %v, aborted %d times", next.Sub(at), r.wire.Aborted)
	}
	r.conn.Tick(later(120 * time.Second))
	if !errors.Is(r.wire.Cause(), http1.ErrWriteTimeout) {
		t.Fatal(r.wire.Cause())
	}
}

func TestShutdown(t *testing.T) {
	r := newRecorder(limits)
	r.conn.Shutdown()
	if r.wire.Closed != 1 {
		t.Fatal("an idle connection stays open")
	}
	if _, _ = r.feedString(canary); r.log.Len() > 0 {
		t.Fatal(r.log.String())
	}

	r = newRecorder(limits)
	_, _ = r.conn.Feed([]byte(get11[:9]))
	if r.conn.Shutdown(); r.wire.Closed != 0 {
		t.Fatal("a request that has begun to come is cut off")
	}
	_, _ = r.conn.Feed([]byte(get11 + canary))
	if r.flush(); r.wire.Closed != 1 || strings.Contains(r.log.String(), "canary") || !strings.Contains(r.answered(), "Connection: close") {
		t.Fatal("not drained")
	}
}

// TestLost: a late answer on a connection that is gone is ignored.
func TestLost(t *testing.T) {
	r := newRecorder(limits)
	r.onEnd = func() {}
	_, _ = r.feedString(get11)
	cause := errors.New("pulled")
	r.conn.Lost(cause)
	r.conn.Answer(200, "", nil, nil)
	r.conn.Start(200, nil, 3)
	_ = r.conn.Write([]byte("abc"))
	r.conn.Finish()
	r.conn.SetClose()
	r.conn.Shutdown()
	if r.gone != 1 || r.conn.OutLen() != 0 || r.wire.Woken+r.wire.Closed+r.wire.Aborted != 0 {
		t.Fatalf("%s, wire %+v", r.log.String(), r.wire)
	}
	if s := r.server.Stats(); s != (http1.Stats{Open: 0, Requests: 1}) {
		t.Fatalf("%+v", s)
	}
}

// TestStreamInTurns: a stream leaves piece by piece, in short writes.
func TestStreamInTurns(t *testing.T) {
	r := newRecorder(limits)
	r.onEnd = func() {}
	_, _ = r.feedString(get11)
	r.conn.Start(200, nil, -1)
	want := ""
	for i := range 300 {
		p := strings.Repeat(string(rune('a'+i%26)), 1+i*7%200)
		_ = r.conn.Write([]byte(p))
		want += fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
		pending := r.conn.Pending()
		r.out = append(r.out, pending[:len(pending)/2]...)
		r.conn.Sent(len(pending) / 2)
	}
	r.conn.Finish()
	r.flush()
	_, got, _ := strings.Cut(r.answered(), "\r\n\r\n")
	if got != want+"0\r\n\r\n" {
		t.Fatal("the stream is damaged")
	}
}
