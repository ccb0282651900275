package httpdoor_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
	"zamqp/tests/kit/wiretest"
)

// wire is a test wire with an address.
type wire struct {
	*wiretest.Wire
	paused *bool
}

func (w wire) Pause(on bool) {
	if w.paused != nil {
		*w.paused = on
	}
}

func (wire) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7} }

// host is a server behind the door; its timers and tasks are run by the test.
type host struct {
	server *publisher.Server
	door   *httpdoor.Door
	wakes  []func()
	log    strings.Builder
	passed time.Duration // of the loop's time
}

func (h *host) Now() time.Time                  { return time.Unix(0, 0).Add(h.passed) }
func (h *host) Since(t time.Time) time.Duration { return h.Now().Sub(t) }
func (h *host) Post(fn func()) bool             { fn(); return true }
func (h *host) Enter(*string)                   {}
func (h *host) Offload(_ uintptr, f, d func())  { f(); d() }
func (h *host) After(_ time.Duration, fn func()) func() bool {
	h.wakes = append(h.wakes, fn)
	return func() bool { return true }
}

// wake ends every sleep.
func (h *host) wake() {
	wakes := h.wakes
	h.wakes = nil
	for _, fn := range wakes {
		fn()
	}
	h.run()
}

func (h *host) run() {
	for h.server.RunReady() {
	}
}

func newHost(t testing.TB, max int) *host {
	t.Helper()
	return newHostOf(t, max, http1.Config{BodyMax: 1 << 16}, func(g *publisher.Registry) { register(t, g) })
}

// newHostOf is a server with the handlers that a test registers.
func newHostOf(t testing.TB, max int, cfg http1.Config, register func(g *publisher.Registry)) *host {
	t.Helper()
	return newBoundHost(t, httpdoor.Limits{Connections: max}, publisher.Options{}, cfg, register)
}

func newBoundHost(t testing.TB, limits httpdoor.Limits, options publisher.Options, cfg http1.Config, register func(g *publisher.Registry)) *host {
	t.Helper()
	g := publisher.NewRegistry()
	register(g)
	h := &host{}
	options.Log = zerolog.New(&h.log)
	s, err := publisher.NewServer(g, nil, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	s.Start(h)
	h.door = httpdoor.New(s, cfg, limits)
	return h
}

// register makes the handlers of most tests.
func register(t testing.TB, g *publisher.Registry) {
	g.Handle("GET /hello", func(r *publisher.Request) error {
		r.SetHeader("X-From", r.RemoteAddr())
		return r.Text(200, "hello "+r.Query().Get("n"))
	})
	g.Handle("POST /echo", func(r *publisher.Request) error { return r.Bytes(201, string(r.ContentType()), r.Body()) })
	g.Handle("GET /sleep", func(r *publisher.Request) error {
		if err := r.Sleep(time.Second); err != nil {
			return publisher.Errorf(418, "%v", err)
		}
		return r.Text(200, "rested")
	})
	g.Handle("GET /rest", func(r *publisher.Request) error { return r.Sleep(time.Second) })
	g.Handle("GET /stream", func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
			for range 1024 {
				if _, err := io.WriteString(w, strings.Repeat("s", 1024)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	g.Handle("GET /broken", func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", 5, func(w *publisher.Stream) error { return errors.New("broken") })
	})
	g.Produce("out", publisher.Producer{})
	g.Handle("GET /late", func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
			for _, err := range []error{
				r.Text(500, "another answer"), r.Reply(500, map[string]int{}), r.ReplyAs(500, "text", "another"),
				r.Stream(500, "", -1, func(*publisher.Stream) error { return nil }),
				r.Publish("out", "lost"), r.Join(nil),
			} {
				if !errors.Is(err, publisher.ErrSent) {
					t.Errorf("after the answer has begun: %v", err)
				}
			}
			_, err := io.WriteString(w, "streamed")
			return err
		})
	})
}

// connect joins a client, which the test plays, to the door.
func (h *host) connect(t testing.TB, seed int64) (*wiretest.Link, *wiretest.Script) {
	t.Helper()
	w := wire{Wire: wiretest.NewWire()}
	client := wiretest.NewScript()
	x := h.door.Accept(w)
	if x == nil {
		t.Fatal("refused")
	}
	return wiretest.Join(t, wiretest.NewClock(), seed, w.Bind(x), client.Peer()), client
}

const hello = "GET /hello?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"

func TestPipelineOfCallsThatWait(t *testing.T) {
	for seed := range int64(20) {
		h := newHost(t, 0)
		link, client := h.connect(t, seed)
		client.SayString(hello + "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n" +
			"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody" + hello)
		link.Run()
		if got := string(client.Take()); strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "X-From: 192.0.2.1:7\r\n") {
			t.Fatalf("seed %d: while the second waits: %q", seed, got)
		}
		h.wake()
		link.Run()
		got := string(client.Take())
		rested, body, last := strings.Index(got, "rested"), strings.Index(got, "Content-Type: a/b\r\n"), strings.Index(got, "hello 1")
		if rested < 0 || body < rested || last < body || strings.Count(got, "HTTP/1.1 ") != 3 {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

func TestStreamGoesAtTheClientsPace(t *testing.T) {
	for seed := range int64(5) {
		h := newHost(t, 0)
		link, client := h.connect(t, seed)
		client.SayString("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" + hello)
		for range 100 { // the loop runs tasks between its turns
			link.Run()
			h.run()
		}
		got := string(client.Take())
		if n := strings.Count(got, "s") - strings.Count(got, "text/plain; charset") - strings.Count(got, "charset"); n < 1<<20 {
			t.Errorf("seed %d: %d octets", seed, n)
		}
		if !strings.Contains(got, "\r\n0\r\n\r\nHTTP/1.1 200") {
			t.Errorf("seed %d: the next answer does not follow", seed)
		}
	}
}

func TestBrokenStreamCutsTheConnection(t *testing.T) {
	h := newHost(t, 0)
	link, client := h.connect(t, 1)
	client.SayString("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n" + hello)
	link.Run()
	if got := string(client.Take()); strings.Contains(got, "hello") || !client.Gone {
		t.Errorf("%q", got)
	}
	if h.door.Open() != 0 {
		t.Error("open still")
	}
}

// TestNothingFollowsAnAnswerThatHasBegun: another answer would leave the client waiting for
// the end of the first, and a publish would be lost without a notice.
func TestNothingFollowsAnAnswerThatHasBegun(t *testing.T) {
	h := newHost(t, 0)
	link, client := h.connect(t, 1)
	client.SayString("GET /late HTTP/1.1\r\nHost: x\r\n\r\n" + hello)
	link.Run()
	if got := string(client.Take()); !strings.Contains(got, "\r\n8\r\nstreamed\r\n0\r\n\r\nHTTP/1.1 200") {
		t.Errorf("%q", got)
	}
}

// TestAnImpatientClientIsNoError: a client that goes away is not logged as an error.
func TestAnImpatientClientIsNoError(t *testing.T) {
	for _, target := range []string{"/stream", "/rest"} {
		h := newHost(t, 0)
		link, client := h.connect(t, 1)
		client.SayString("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		link.Run()
		link.Cut(errors.New("reset"))
		h.run()
		if log := h.log.String(); h.server.Live() != 0 || !strings.Contains(log, `"level":"debug"`) || strings.Contains(log, `"level":"error"`) {
			t.Errorf("%s: %d live, %s", target, h.server.Live(), log)
		}
	}
}

func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	h := newHost(t, 0)
	link, client := h.connect(t, 2)
	client.SayString("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
	client.Shut()
	link.Run()
	h.run()
	link.Run()
	if got := string(client.Take()); !strings.Contains(got, "418") || !strings.Contains(got, publisher.ErrGone.Error()) {
		t.Errorf("%q", got)
	}
}

// TestHalfCloseEndsTheWaitsOfAll: the requests after the current one are not waited for
// either, but all are answered.
func TestHalfCloseEndsTheWaitsOfAll(t *testing.T) {
	for seed := range int64(10) {
		h := newHost(t, 0)
		link, client := h.connect(t, seed)
		const sleep = "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n"
		client.SayString(sleep + sleep + hello + sleep)
		client.Shut()
		for range 20 {
			link.Run()
			h.run()
		}
		got := string(client.Take())
		if strings.Count(got, "HTTP/1.1 418 I'm a teapot") != 3 || strings.Count(got, "hello 1") != 1 || h.server.Live() != 0 || !client.Ended {
			t.Errorf("seed %d: %d calls live, %q", seed, h.server.Live(), got)
		}
	}
}

// TestNoMessageByHTTP: a router sees a message by its method, which no HTTP client
// may claim.
func TestNoMessageByHTTP(t *testing.T) {
	h := newHost(t, 0)
	link, client := h.connect(t, 1)
	client.SayString("AMQP /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" + hello)
	link.Run()
	if got := string(client.Take()); !strings.HasPrefix(got, "HTTP/1.1 501 ") || strings.Count(got, "HTTP/1.1 ") != 1 || h.door.Open() != 0 {
		t.Errorf("%q", got)
	}
}

func TestLostClient(t *testing.T) {
	h := newHost(t, 0)
	link, client := h.connect(t, 3)
	client.SayString("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
	link.Run()
	link.Cut(errors.New("reset"))
	h.run()
	if h.server.Live() != 0 || h.door.Open() != 0 {
		t.Errorf("%d calls, %d connections", h.server.Live(), h.door.Open())
	}
	link, client = h.connect(t, 4)
	client.SayString("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	link.Run()
	link.Cut(nil)
	if h.door.Open() != 0 {
		t.Error("open still")
	}
}

func TestConnectionsMaxAndDrain(t *testing.T) {
	h := newHost(t, 2)
	idle, _ := h.connect(t, 5)
	busy, client := h.connect(t, 6)
	if h.door.Accept(wire{Wire: wiretest.NewWire()}) != nil {
		t.Error("one too many")
	}
	client.SayString("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
	idle.Run()
	busy.Run()
	drained := false
	h.door.Drain(func() { drained = true })
	idle.Run()
	if drained || h.door.Open() != 1 {
		t.Errorf("%d are open", h.door.Open())
	}
	h.wake()
	busy.Run()
	if got := string(client.Take()); !strings.Contains(got, "Connection: close\r\n") || !strings.Contains(got, "rested") || !drained {
		t.Errorf("drained %v: %q", drained, got)
	}
	if h.door.Accept(wire{Wire: wiretest.NewWire()}) != nil {
		t.Error("accepted after the drain")
	}
}

func TestHelloDoesNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	g := publisher.NewRegistry()
	g.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
	s, err := publisher.NewServer(g, nil, nil, publisher.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(&host{server: s})
	x := httpdoor.New(s, http1.Config{}, httpdoor.Limits{}).Accept(wire{Wire: wiretest.NewWire()})
	now := time.Unix(1000, 0)
	x.Tick(now)
	in := []byte("GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n")
	if n := testing.AllocsPerRun(1000, func() {
		if took, err := x.Feed(in); took != len(in) || err != nil {
			t.Fatal(took, err)
		}
		x.Tick(now)
		x.Sent(len(x.Pending()))
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
