package http1_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// streamer makes a recorder whose bodies stream, with room for so many octets.
func streamer(room int) (*recorder, *int) {
	r := newRecorder(http1.Config{BodyMax: 1 << 20, ServerName: "t"})
	r.onHead = func(h *http1.Head) int {
		if h.HasBody() {
			r.conn.Stream()
		}
		return 0
	}
	r.room = func() int { return room }
	r.onBody = func(p []byte) { room -= len(p) }
	r.onEnd = func() {}
	return r, &room
}

const firstHalf = post + "Content-Length: 10\r\n\r\n01234"

// TestStreamIsHeldBack: octets for which the Handler has no room stay with the wire, and the time
// that passes does not count against the client.
func TestStreamIsHeldBack(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		r, room := streamer(3)
		in := firstHalf + "56789" + get11
		if chunked {
			in = chunkedPost + "5\r\n01234\r\n5\r\n56789\r\n0\r\nT: u\r\n\r\n" + get11
		}
		rest, err := r.feedString(in)
		if err != nil || string(r.body) != "012" || !strings.HasPrefix(rest, "34") {
			t.Fatalf("body %q, rest %q, %v", r.body, rest, err)
		}
		if next := r.conn.Tick(wiretest.Epoch.Add(time.Hour)); !next.IsZero() || r.wire.Closed > 0 {
			t.Fatalf("a client that is not read has a deadline: %v", next)
		}
		woken := r.wire.Woken
		*room = 100
		if r.conn.More(); r.wire.Woken != woken+1 {
			t.Fatal("not woken")
		}
		if next := r.conn.Tick(wiretest.Epoch.Add(time.Hour)); !next.Equal(wiretest.Epoch.Add(time.Hour + 5*time.Second)) {
			t.Fatalf("the deadline of a client that is read again is %v", next)
		}
		rest, err = r.feedString(rest)
		if err != nil || string(r.body) != "0123456789" || rest != get11 || !strings.Contains(r.log.String(), "end body=\"0123456789\"") {
			t.Fatalf("body %q, rest %q, %v", r.body, rest, err)
		}
		if chunked != strings.Contains(r.log.String(), "trailer T=\"u\"\n") {
			t.Fatal(r.log.String())
		}
		r.conn.Answer(200, "", nil, nil)
		if _, err = r.feedString(rest); err != nil || strings.Count(r.log.String(), "head ") != 2 {
			t.Fatal(err, r.log.String())
		}
	}
}

// TestStreamExpects: 100 Continue is sent when the Handler wants the body, and before
// that the client may wait.
func TestStreamExpects(t *testing.T) {
	const head = post + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	r, _ := streamer(10)
	_, _ = r.feedString(head)
	if next := r.conn.Tick(wiretest.Epoch); r.answered() != "" || !next.IsZero() {
		t.Fatalf("the client is told to send, or must until %v", next)
	}
	r.conn.Continue()
	r.conn.Continue()
	if r.flush(); r.answered() != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatal("the client is not told to send, once")
	}
	if next := r.conn.Tick(wiretest.Epoch); next.IsZero() {
		t.Fatal("and has no deadline")
	}
	_, _ = r.feedString("abc")
	if r.conn.Answer(200, "", nil, nil); r.wire.Closed > 0 || string(r.body) != "abc" {
		t.Fatal("closed, or no body")
	}

	r, _ = streamer(10)
	_, _ = r.feedString(head)
	r.conn.Answer(403, "", nil, nil)
	if r.flush(); !strings.Contains(r.answered(), "Connection: close\r\n") || r.wire.Closed == 0 {
		t.Fatal("a body that may never come is waited for")
	}

	r, _ = streamer(10)
	_, _ = r.feedString(head)
	r.conn.Start(200, nil, -1)
	if r.conn.Continue(); strings.Contains(string(r.conn.Pending()), "100 Continue") {
		t.Fatal("100 Continue within the answer")
	}
	if next := r.conn.Tick(wiretest.Epoch.Add(time.Hour)); next.IsZero() {
		t.Fatal("nothing ends the wait for a body that may never come")
	}
}

// TestStreamAnsweredEarly: after an early answer a short rest of the body is dropped; if the rest
// is long, the connection ends.
func TestStreamAnsweredEarly(t *testing.T) {
	long := fmt.Sprintf("%sContent-Length: %d\r\n\r\n01234", post, 300<<10)
	answer := func(r *recorder) { r.conn.Answer(200, "", nil, nil) }
	start := func(r *recorder) { r.conn.Start(200, nil, -1); r.conn.Finish() }
	duplex := func(r *recorder) { r.conn.SetDuplex(); start(r) }
	for _, row := range []struct {
		name, in, rest string
		answer         func(r *recorder)
		says, closes   bool
	}{
		{"short", firstHalf, "56789", answer, false, false},
		{"short, in pieces", firstHalf, "56789", start, false, false},
		{"short, stalled", firstHalf + "5", "6789", answer, false, false},
		{"long", long, "", answer, true, true},
		{"long, in pieces", long, "", start, true, true},
		{"long, full duplex", long, "", duplex, false, true},
		{"chunked", chunkedPost + "a\r\n01234", "56789\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n", answer, false, false},
		{"chunked, between chunks", chunkedPost + "5\r\n01234\r\n", "0\r\n\r\n", answer, false, false},
		{"chunked, long chunk", chunkedPost + "fffff\r\n01234", "", answer, true, true},
		{"chunked, long at last", chunkedPost + "a\r\n01234", "56789\r\nfffff\r\n", answer, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, _ := streamer(5)
			rest, err := r.feedString(row.in)
			if err != nil {
				t.Fatal(err)
			}
			row.answer(r)
			r.flush()
			if says := strings.Contains(r.answered(), "Connection: close\r\n"); says != row.says {
				t.Errorf("the answer says close: %t", says)
			}
			rest, err = r.feedString(rest + row.rest + get11)
			if closed := r.wire.Closed > 0 || err != nil; closed != row.closes || r.wire.Aborted > 0 {
				t.Fatalf("closed %t, %v", closed, err)
			}
			if goesOn := strings.Count(r.log.String(), "head ") == 2; goesOn == row.closes || strings.Contains(r.log.String(), "trailer") {
				t.Errorf("rest %q\n%s", rest, r.log.String())
			}
			if strings.Contains(r.answered(), "HTTP/1.1 4") {
				t.Error("answered twice")
			}
		})
	}
	r, _ := streamer(100)
	r.onBody = func([]byte) { r.conn.Answer(200, "", nil, nil) }
	if _, err := r.feedString(firstHalf + "56789" + get11); err != nil || strings.Count(r.log.String(), "head ") != 2 {
		t.Fatalf("answered inside Body: %v\n%s", err, r.log.String())
	}
}

// TestStreamIsCut: the input ends within the body, or the body breaks a bound.
func TestStreamIsCut(t *testing.T) {
	r, room := streamer(3)
	rest, _ := r.feedString(firstHalf)
	if !r.conn.EOF() {
		t.Fatal("the end of the input is the end of the connection, before the rest of the input")
	}
	*room = 100
	r.conn.More()
	if rest, err := r.feedString(rest); rest != "" || err != nil || string(r.body) != "01234" || r.gone != 1 || r.wire.Closed != 1 {
		t.Fatalf("rest %q, body %q, gone %d, closed %d", rest, r.body, r.gone, r.wire.Closed)
	}
	if got := r.answered(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Fatal(got)
	}

	r, _ = streamer(1 << 30)
	_, err := r.feedString(chunkedPost + "5\r\n01234\r\n100000\r\n")
	if statusOf(t, err) != 413 || r.gone != 1 || !strings.HasPrefix(r.answered(), "HTTP/1.1 413 ") {
		t.Fatal(err, r.gone)
	}

	r, _ = streamer(100)
	_, _ = r.feedString(firstHalf)
	r.conn.Tick(wiretest.Epoch)
	r.conn.Tick(wiretest.Epoch.Add(6 * time.Second))
	if r.flush(); r.gone != 1 || r.wire.Closed != 1 || !strings.HasPrefix(r.answered(), "HTTP/1.1 408 ") {
		t.Fatal("a client that is too slow is waited for")
	}
}

// TestStreamLink: bodies that stream into little room arrive whole and in order, and so do the
// requests after them, over a wire that cuts and delays at random, whether they are answered
// before or after their end.
func TestStreamLink(t *testing.T) {
	wiretest.Seeds(t, 60, func(t *testing.T, seed int64) {
		random := rand.New(rand.NewSource(seed))
		clock := wiretest.NewClock()
		room, early, got := 0, false, ""
		r := newRecorder(http1.Config{ServerName: "t"})
		drain := func() {
			clock.After(time.Duration(random.Intn(3))*time.Second, func() {
				room = 1 + random.Intn(20)
				r.conn.More()
			})
		}
		r.room = func() int {
			if room == 0 {
				drain()
			}
			return room
		}
		r.onHead = func(h *http1.Head) int {
			room, early = random.Intn(5), random.Intn(3) == 0
			if r.conn.Stream(); early {
				clock.After(time.Duration(random.Intn(2))*time.Second, func() { r.conn.Answer(200, "", nil, []byte("early")) })
			}
			return 0
		}
		r.onBody = func(p []byte) { room -= len(p) }
		r.onEnd = func() {
			if early {
				return
			}
			got += string(r.body)
			r.conn.Answer(200, "", nil, []byte("late"))
		}
		client := wiretest.NewScript()
		client.HalfOpen = true
		link := wiretest.Join(t, clock, seed, r.wire.Bind(r.conn), client.Peer())
		for i := range 30 {
			body := fmt.Sprintf("<%d%s>", i, strings.Repeat("x", i))
			if i%2 == 0 {
				client.SayString(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(body), body))
			} else {
				half := len(body) / 2
				client.SayString(fmt.Sprintf("%s%x\r\n%s\r\n%x;e=f\r\n%s\r\n0\r\n\r\n", chunkedPost, half, body[:half], len(body)-half, body[half:]))
			}
		}
		client.Shut()
		link.Run()
		clock.Advance(time.Hour)
		answers := string(client.Got)
		early30, late := strings.Count(answers, "early"), strings.Count(answers, "late")
		if early30+late != 30 || strings.Count(answers, "HTTP/1.1 200 OK\r\n") != 30 || !client.Ended {
			t.Fatalf("%d early, %d late, ended %t\n%s", early30, late, client.Ended, answers)
		}
		if strings.Count(got, "<") != late || strings.Count(got, ">") != late {
			t.Fatalf("bodies %q", got)
		}
	})
}
