package wiretest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/wiretest"
)

// liner is a small machine with all the habits of a large one: it answers each
// line with its length and text, closes after "bye", fails on "bad", cuts on
// "cut", and says "idle" and closes when nothing has come for a minute.
type liner struct {
	wire    *wiretest.Wire
	out     []byte
	now     time.Time
	last    time.Time
	ticks   int
	held    bool // busy: takes nothing until released
	lost    int
	cause   error
	ended   bool
	lingers bool
}

func (m *liner) Feed(in []byte) (n int, err error) {
	m.last = m.now
	for !m.held {
		i := bytes.IndexByte(in[n:], '\n')
		if i < 0 {
			return n, nil
		}
		line := strings.TrimRight(string(in[n:n+i]), "\r\n")
		n += i + 1
		m.out = fmt.Appendf(m.out, "%d:%s\n", len(line), line)
		switch line {
		case "bye":
			m.wire.Close()
			return n, nil
		case "bad":
			return n, errors.New("bad line")
		case "cut":
			m.wire.Abort(errors.New("cut"))
		case "hold":
			m.held = true
		}
	}
	return n, nil
}
func (m *liner) Pending() []byte { return m.out }
func (m *liner) Sent(n int)      { m.out = m.out[n:] }
func (m *liner) Tick(now time.Time) time.Time {
	if m.ticks++; m.ticks == 1 {
		m.last = now
	}
	m.now = now
	if due := m.last.Add(time.Minute); now.Before(due) {
		return due
	}
	m.out = append(m.out, "idle\n"...)
	m.wire.Close()
	return time.Time{}
}
func (m *liner) EOF() bool        { m.ended = true; return m.lingers }
func (m *liner) Lost(cause error) { m.lost++; m.cause = cause }

func join(t testing.TB, seed int64) (*liner, *wiretest.Script, *wiretest.Link) {
	w := wiretest.NewWire()
	m, s := &liner{wire: w}, wiretest.NewScript()
	return m, s, wiretest.Join(t, wiretest.NewClock(), seed, w.Bind(m), s.Peer())
}

func TestLinkCarriesEverythingUnderAnyChunking(t *testing.T) {
	wiretest.Seeds(t, 20, func(t *testing.T, seed int64) {
		m, s, link := join(t, seed)
		var want strings.Builder
		rng := rand.New(rand.NewSource(seed))
		for range 200 {
			text := strings.Repeat("x", rng.Intn(300))
			s.SayString(text + "\n")
			fmt.Fprintf(&want, "%d:%s\n", len(text), text)
		}
		link.Run()
		if got := string(s.Take()); got != want.String() {
			t.Fatalf("got %d bytes, want %d", len(got), want.Len())
		}
		s.SayString("bye\n")
		link.Run()
		if got := string(s.Take()); got != "3:bye\n" || !s.Ended || m.lost != 1 || m.cause != nil || !link.Over() {
			t.Fatalf("bye: %q, ended %v, lost %d %v", got, s.Ended, m.lost, m.cause)
		}
	})
}

func TestRestIsOfferedAgainOnWakeOnly(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		m, s, link := join(t, seed)
		s.SayString("hold\nnext\n")
		link.Run()
		if got := string(s.Take()); got != "4:hold\n" {
			t.Fatalf("while held: %q", got)
		}
		m.held = false
		link.Run()
		if got := s.Take(); len(got) != 0 {
			t.Fatalf("nobody woke the wire, yet %q came", got)
		}
		m.wire.Wake()
		link.Run()
		if got := string(s.Take()); got != "4:next\n" {
			t.Fatalf("after Wake: %q", got)
		}
	})
}

func TestEndings(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		m, s, link := join(t, seed)
		s.SayString("a\nbad\nnever\n")
		link.Run()
		if got := string(s.Take()); got != "1:a\n3:bad\n" || m.cause == nil || m.cause.Error() != "bad line" || m.lost != 1 {
			t.Errorf("error of Feed: %q, lost %d %v", got, m.lost, m.cause)
		}

		m, s, link = join(t, seed)
		s.SayString("cut\n")
		link.Run()
		if m.cause == nil || m.lost != 1 || !s.Gone || len(s.Take()) != 0 {
			t.Errorf("abort: lost %d %v, other side gone %v", m.lost, m.cause, s.Gone)
		}

		m, s, link = join(t, seed)
		s.Abort(io.ErrUnexpectedEOF)
		link.Run()
		if m.lost != 1 || (m.cause != nil && !errors.Is(m.cause, wiretest.ErrReset)) || !errors.Is(s.Cause, io.ErrUnexpectedEOF) {
			t.Errorf("aborted by the other side: lost %d %v", m.lost, m.cause)
		}

		m, s, link = join(t, seed)
		m.lingers = true
		s.SayString("a\n")
		s.Shut()
		link.Run()
		if got := string(s.Take()); got != "1:a\n" || !m.ended || m.lost != 0 {
			t.Errorf("half-close: %q ended %v lost %d", got, m.ended, m.lost)
		}
		m.out = append(m.out, "later\n"...)
		m.wire.Close()
		link.Run()
		if got := string(s.Take()); got != "later\n" || m.lost != 1 || m.cause != nil {
			t.Errorf("after half-close: %q lost %d %v", got, m.lost, m.cause)
		}

		m, s, link = join(t, seed)
		link.Cut(io.ErrClosedPipe)
		if !errors.Is(m.cause, io.ErrClosedPipe) || !s.Gone || !link.Over() {
			t.Errorf("cable pulled: %v %v", m.cause, s.Gone)
		}
	})
}

func TestClockStopsAtEachDeadlineInOrder(t *testing.T) {
	m, s, link := join(t, 3)
	clock := link.Clock()
	var fired []string
	note := func(what string) func() {
		return func() { fired = append(fired, fmt.Sprint(what, "@", clock.Now().Sub(wiretest.Epoch))) }
	}
	clock.After(30*time.Second, func() { s.SayString("a\n") })
	clock.After(2*time.Minute, note("c"))
	clock.After(20*time.Second, note("a"))
	clock.After(20*time.Second, note("b"))
	if stopped := clock.After(time.Second, note("never")); !stopped.Stop() || stopped.Stop() {
		t.Error("Stop of a set timer is true once")
	}
	clock.Advance(89 * time.Second)
	if m.lost != 0 {
		t.Fatal("idle too early: the line at 30 s moved the deadline to 90 s")
	}
	clock.Advance(time.Minute)
	if got := string(s.Take()); got != "1:a\nidle\n" || m.lost != 1 {
		t.Fatalf("%q, lost %d", got, m.lost)
	}
	if got := fmt.Sprint(fired); got != "[a@20s b@20s c@2m0s]" {
		t.Fatal(got)
	}
	if got := clock.Now().Sub(wiretest.Epoch); got != 149*time.Second {
		t.Fatal(got)
	}
}

// recorder is a TB whose Fatalf ends the goroutine and is remembered.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}
func (r *recorder) Helper()        {}
func (r *recorder) Cleanup(func()) {}

func failure(t *testing.T, fn func(tb testing.TB)) string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		fn(r)
	}()
	return r.failed
}

// misfit breaks one rule at a time.
type misfit struct {
	liner
	rewrites, scribbles, greedy, hot bool
}

func (m *misfit) Feed(in []byte) (int, error) {
	if m.scribbles {
		in[0] ^= 1
	}
	if m.greedy {
		return len(in) + 1, nil
	}
	return m.liner.Feed(in)
}
func (m *misfit) Sent(n int) {
	m.liner.Sent(n)
	if m.rewrites && len(m.out) > 0 {
		m.out[0] ^= 1
	}
}
func (m *misfit) Tick(now time.Time) time.Time {
	if m.hot {
		return now
	}
	return m.liner.Tick(now)
}

func TestBrokenRulesAreFound(t *testing.T) {
	for _, row := range []struct {
		m    misfit
		want string
	}{
		{misfit{rewrites: true}, "changed pending bytes"},
		{misfit{scribbles: true}, "changed bytes that were lent"},
		{misfit{greedy: true}, "took"},
		{misfit{hot: true}, "stays due"},
	} {
		got := failure(t, func(tb testing.TB) {
			w, s, m := wiretest.NewWire(), wiretest.NewScript(), row.m
			m.wire = w
			link := wiretest.Join(tb, wiretest.NewClock(), 5, w.Bind(&m), s.Peer())
			s.SayString(strings.Repeat("some text\n", 50))
			link.Run()
			link.Clock().Advance(time.Second)
		})
		if !strings.Contains(got, row.want) || !strings.Contains(got, "seed 5") {
			t.Errorf("want a failure about %q with the seed, got %q", row.want, got)
		}
	}
}

func TestAllSplits(t *testing.T) {
	lines := func(chunks [][]byte) string {
		m := &liner{wire: wiretest.NewWire()}
		rest, err := wiretest.FeedChunks(m.Feed, chunks)
		return fmt.Sprintf("%q %q %v", m.out, rest, err)
	}
	wiretest.AllSplits(t, []byte("one\n\ntwo\nhalf"), lines)
	wiretest.AllSplits(t, []byte(strings.Repeat("a longer line\n", 300)), lines)
	wiretest.AllSplits(t, []byte("x\nbad\n"), lines)
	wiretest.AllSplits(t, nil, lines)

	got := failure(t, func(tb testing.TB) {
		wiretest.AllSplits(tb, []byte("abcdef"), func(chunks [][]byte) string {
			for _, c := range chunks {
				if bytes.HasPrefix(c, []byte("cd")) && len(c) == 3 {
					return "wrong"
				}
			}
			return "right"
		})
	})
	if !strings.Contains(got, "cut at [2 5]") {
		t.Errorf("a decoder that fails on one three-way split was reported as %q", got)
	}
}

func TestFeedAll(t *testing.T) {
	var pairs []string
	two := func(in []byte) (int, error) {
		if len(in) < 2 {
			return 0, nil
		}
		pairs = append(pairs, string(in[:2]))
		return 2, nil
	}
	rest, err := wiretest.FeedAll(two, [][]byte{[]byte("abc"), []byte("defg")})
	if fmt.Sprintf("%v %s %v", pairs, rest, err) != "[ab cd ef] g <nil>" {
		t.Fatal(pairs, string(rest), err)
	}
}

func TestPlay(t *testing.T) {
	wiretest.Play(t, "testdata/lines.txt", 'C', func(w *wiretest.Wire) wiretest.Peer {
		return &liner{wire: w}
	})
}

func TestTranscript(t *testing.T) {
	w := wiretest.NewWire()
	m, s := &liner{wire: w}, wiretest.NewScript()
	link := wiretest.Join(t, wiretest.NewClock(), 0, s.Peer(), w.Bind(m))
	var x wiretest.Transcript
	link.Tap = func(from byte, p []byte) { x.Tap(map[byte]byte{'A': 'C', 'B': 'S'}[from], p) }
	x.Note("hello")
	s.SayString("one\r\ntw")
	link.Run()
	s.SayString("o\n")
	link.Run()
	if got, want := x.String(), "# hello\nC: one\\r\\n\nC: tw\nS: 3:one\\n\nC: o\\n\nS: 3:two\\n\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
