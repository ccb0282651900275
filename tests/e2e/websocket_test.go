package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
	"zamqp/tests/kit/wsclient"
)

func init() {
	publisher.WebSocket("GET /ws/echo", echoSocket, publisher.Subprotocols("v2.e2e", "v1.e2e"), publisher.Origins("https://*.example.com"))
	publisher.WebSocket("GET /ws/small", echoSocket, publisher.MessageMax(1000))
	publisher.WebSocket("GET /ws/ask", askSocket)
	publisher.WebSocket("GET /ws/pinged", echoSocket, publisher.PingInterval(20*time.Millisecond))
	publisher.WebSocket("GET /ws/topic", func(ws *publisher.Socket) error {
		if err := ws.Follow("e2e-sockets"); err != nil {
			return err
		}
		if err := ws.WriteText("following"); err != nil {
			return err
		}
		return echoSocket(ws)
	})
	publisher.AddTopic("e2e-sockets", publisher.Topic{Octets: 4 * publisher.MiB})
	publisher.Handle("POST /ws/tell", func(r *publisher.Request) error {
		return r.Broadcast("e2e-sockets", publisher.Event{Data: r.Body()})
	})
	publisher.Produce("e2e-socket", publisher.Producer{Queue: "e2e-socket", Codec: "text"})
	publisher.Consume("e2e-socket", publisher.Consumer{Queue: "e2e-socket"}, func(r *publisher.Request) error {
		see("socket published " + string(r.Body()))
		return nil
	})
}

func echoSocket(ws *publisher.Socket) error {
	for {
		kind, p, err := ws.Read()
		if err != nil {
			return err
		}
		if err := ws.Write(kind, p); err != nil {
			return err
		}
	}
}

// askSocket does what the client says.
func askSocket(ws *publisher.Socket) error {
	if ws.Query().Get("user") == "nobody" {
		return publisher.Errorf(http.StatusUnauthorized, "who are you?")
	}
	ws.SetHeader("Set-Cookie", "seen=1")
	for {
		_, p, err := ws.Read()
		if err != nil {
			see(fmt.Sprint("socket ended: ", err))
			return err
		}
		verb, what, _ := strings.Cut(string(p), " ")
		switch verb {
		case "publish":
			_ = ws.Publish("e2e-socket", what)
		case "commit":
			err = ws.WriteText(fmt.Sprint("committed ", ws.Commit()))
		case "offload":
			err = ws.Offload(func() error { return nil })
		case "return":
			return nil
		case "fail":
			return errors.New(what)
		case "refuse":
			return publisher.Errorf(http.StatusForbidden, "%s", what)
		case "panic":
			panic(what)
		case "close":
			return ws.Close(4001, what)
		case "sleep":
			see("socket sleeps")
			if err := ws.Sleep(time.Hour); err != nil {
				see(fmt.Sprint("socket slept: ", err, ", context: ", context.Cause(ws.Context())))
				return err
			}
		case "children":
			ws.Go(func() error { return ws.WriteText("from a child") })
			ws.Go(func() error {
				err := ws.Sleep(time.Hour)
				see(fmt.Sprint("socket's child: ", err))
				return err
			})
		case "flood":
			for err == nil {
				err = ws.Write(publisher.BinaryMessage, make([]byte, 300<<10))
			}
			see(fmt.Sprint("socket flooded: ", err))
		case "stop":
			err = ws.AwaitClose()
		}
		if err != nil {
			return err
		}
	}
}

// TestWebSocketHandshake: the answer to an incorrect handshake says what is wrong.
func TestWebSocketHandshake(t *testing.T) {
	s := start(t, embedded)
	for _, row := range []struct {
		name   string
		path   string
		fields []string
		status int
		text   string
	}{
		{"a plain GET", "/ws/echo", []string{"Connection: close", "Upgrade: "}, 426, "WebSocket"},
		{"another protocol", "/ws/echo", []string{"Upgrade: h2c"}, 426, "WebSocket"},
		{"an old version", "/ws/echo", []string{"Sec-WebSocket-Version: 8"}, 426, "version 13"},
		{"no key", "/ws/echo", []string{"Sec-WebSocket-Key: "}, 400, "Sec-WebSocket-Key"},
		{"a short key", "/ws/echo", []string{"Sec-WebSocket-Key: aGVsbG8="}, 400, "Sec-WebSocket-Key"},
		{"a page of another host", "/ws/echo", []string{"Origin: http://evil.example"}, 403, "origin"},
		{"an origin that ends like an allowed one", "/ws/echo", []string{"Origin: https://evilexample.com"}, 403, "origin"},
		{"an allowed one with another scheme", "/ws/echo", []string{"Origin: http://shop.example.com"}, 403, "origin"},
		{"a sandboxed page", "/ws/echo", []string{"Origin: null"}, 403, "origin"},
		{"an allowed origin", "/ws/echo", []string{"Origin: https://shop.example.com:443"}, 101, ""},
		{"the same host", "/ws/echo", []string{"Origin: http://" + strings.TrimPrefix(s.url, "http://")}, 101, ""},
		{"several tokens", "/ws/echo", []string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket"}, 101, ""},
		{"a handler that refuses", "/ws/ask?user=nobody", nil, 401, "who are you?"},
		{"no such route", "/ws/none", nil, 404, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := wsclient.Ask(t, s.url+row.path, row.fields...)
			if c.Response.StatusCode != row.status {
				t.Fatalf("%s", c.Response.Status)
			}
			if row.status == 101 {
				c.Say("hello")
				c.Want("hello")
				return
			}
			b := make([]byte, 1000)
			n, _ := c.Response.Body.Read(b)
			if !strings.Contains(string(b[:n]), row.text) {
				t.Errorf("%q", b[:n])
			}
			if up := c.Response.Header.Get("Upgrade"); (up == "websocket") != (row.status == 426) {
				t.Errorf("Upgrade: %q", up)
			}
		})
	}
	c := wsclient.Dial(t, s.url+"/ws/echo", "Sec-WebSocket-Protocol: v1.e2e, v2.e2e, other")
	if h := c.Response.Header; h.Get("Sec-Websocket-Protocol") != "v2.e2e" || h.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%v", h)
	}
	c = wsclient.Ask(t, s.url+"/ws/ask")
	c.Say("return")
	if h := c.Response.Header; h.Get("Set-Cookie") != "seen=1" {
		t.Errorf("%v", h)
	}
}

// TestWebSocketMessages: messages come and go, whole, in frames, and many at once.
func TestWebSocketMessages(t *testing.T) {
	s := start(t, embedded)
	c := wsclient.Dial(t, s.url+"/ws/echo")
	long := strings.Repeat("long message ", 50_000)
	c.Say("one")
	c.Send(wsclient.Frame(wsclient.Fin|wsclient.Binary, "\xff") + wsclient.Frame(wsclient.Text, "tw") + wsclient.Frame(wsclient.Fin|wsclient.Ping, "are you there?") + wsclient.Frame(wsclient.Fin, "o"))
	got := []string{c.Next(), c.Next(), c.Next(), c.Next()} // the pong may overtake
	slices.Sort(got)
	if !slices.Equal(got, []string{"binary \xff", "one", "pong are you there?", "two"}) {
		t.Errorf("%q", got)
	}
	c.Say(long)
	c.Want(long)
	many, want := strings.Builder{}, []string(nil)
	for i := range 1000 {
		want = append(want, fmt.Sprint(i))
		many.WriteString(wsclient.Frame(wsclient.Fin|wsclient.Text, want[i]))
	}
	c.Send(many.String())
	c.Want(want...)
	c.Shut(4321, "bye")
	c.Want("close 4321", "end")
	c = wsclient.Dial(t, s.url+"/ws/small")
	c.Say(strings.Repeat("x", 1001))
	c.Want("close 1009 the frame is too long", "end")
	wait.Until(t, "all are gone", func() bool { return s.metric("websockets") == 0 })
	if n := s.metric("websocket_violations_total"); n != 1 {
		t.Errorf("%v violations", n)
	}
}

// TestWebSocketEnds: the close code follows from how the handler ends.
func TestWebSocketEnds(t *testing.T) {
	s := start(t, embedded)
	for say, want := range map[string]string{
		"return":        "close 1000",
		"fail secret":   "close 1011 Internal Server Error",
		"refuse get up": "close 1008 get up",
		"panic secret":  "close 1011 Internal Server Error",
		"close so long": "close 4001 so long",
	} {
		c := wsclient.Dial(t, s.url+"/ws/ask")
		c.Say(say)
		c.Want(want)
		c.Shut(1000, "")
		c.Want("end")
	}
	if !s.failedWith("secret") {
		t.Error("the failure is not in the log")
	}
}

// TestWebSocketTransactions: each message is a transaction, which the next Read commits.
func TestWebSocketTransactions(t *testing.T) {
	s := start(t, embedded)
	c := wsclient.Dial(t, s.url+"/ws/ask")
	c.Say("publish first")
	wait.Until(t, "the next Read has committed", func() bool { return saw("socket published first") == 1 })
	c.Say("commit")
	c.Want("committed <nil>")
	c.Say("publish second")
	c.Say("return")
	c.Want("close 1000")
	wait.Until(t, "it is published", func() bool { return saw("socket published second") == 1 })
}

// TestWebSocketClientEnds: what the handler gets when the client closes, or is gone.
func TestWebSocketClientEnds(t *testing.T) {
	s := start(t, embedded)
	failures := s.metric("failures_total")
	c := wsclient.Dial(t, s.url+"/ws/ask")
	c.Say("publish last")
	c.Shut(1001, "leaving")
	c.Want("close 1001", "end")
	wait.Until(t, "the handler has ended", func() bool {
		return saw(`socket ended: websocket: the peer has closed: 1001 "leaving"`) == 1 && saw("socket published last") == 1
	})
	c = wsclient.Dial(t, s.url+"/ws/ask")
	c.Say("sleep")
	wait.Until(t, "it sleeps", func() bool { return saw("socket sleeps") == 1 })
	_ = c.Close()
	wait.Until(t, "the wait has ended", func() bool {
		return saw("socket slept: the client has gone, context: the client has gone") == 1
	})
	c = wsclient.Dial(t, s.url+"/ws/ask")
	c.Say("children")
	c.Want("from a child")
	c.Shut(1000, "")
	c.Want("close 1000", "end")
	wait.Until(t, "the child has ended", func() bool { return saw("socket's child: another function given to Go has failed") == 1 })
	wait.Until(t, "all are gone", func() bool { return s.metric("websockets") == 0 && s.metric("http_connections") <= 1 })
	if n := s.metric("failures_total"); n != failures {
		t.Errorf("%v calls failed", n-failures)
	}
}

// TestWebSocketSlowReader: a client that reads nothing parks only its own handler, and costs
// a bounded memory.
func TestWebSocketSlowReader(t *testing.T) {
	s := start(t, embedded)
	c := wsclient.Dial(t, s.url+"/ws/ask")
	c.Say("flood")
	other := wsclient.Dial(t, s.url+"/ws/echo")
	for range 20 {
		other.Say("hello")
		other.Want("hello")
	}
	if got := c.Next(); len(got) != len("binary ")+300<<10 { // it goes on where it was
		t.Errorf("%d octets", len(got))
	}
	_ = c.Close()
	wait.Until(t, "the handler has ended", func() bool {
		return saw("socket flooded: websocket: the peer is lost") > 0 || s.metric("websockets") == 1
	})
}

// TestWebSocketPings: a client that answers pings stays, and one that does not is given up.
func TestWebSocketPings(t *testing.T) {
	s := start(t, embedded)
	alive := wsclient.Dial(t, s.url+"/ws/pinged")
	for range 5 {
		alive.Want("ping ")
		alive.Send(wsclient.Frame(wsclient.Fin|wsclient.Pong, ""))
	}
	alive.Say("hello")
	for got := "ping "; got != "hello"; got = alive.Next() {
		if got != "ping " {
			t.Fatal(got)
		}
	}
	s = start(t, embedded, "websocket.pong_timeout=100ms")
	silent := wsclient.Dial(t, s.url+"/ws/pinged")
	silent.Want("ping ")
	if got := silent.Next(); got == "ping " {
		t.Error("another ping, before the answer to the first")
	}
	wait.Until(t, "it is counted", func() bool { return s.metric("websocket_silent_total") == 1 && s.metric("websockets") == 0 })
}

// TestWebSocketTLS: the same over TLS, with messages longer than its records, and with many
// at once.
func TestWebSocketTLS(t *testing.T) {
	s, at := startTLS(t, selfsigned.New(t))
	c := wsclient.Dial(t, "https://"+at+"/ws/echo", "Origin: https://"+at)
	long := strings.Repeat("long ", 100_000)
	many := ""
	for range 100 {
		many += wsclient.Frame(wsclient.Fin|wsclient.Text, "m")
	}
	c.Send(wsclient.Frame(wsclient.Fin|wsclient.Text, "first") + many)
	c.Want("first")
	for range 100 {
		c.Want("m")
	}
	c.Say(long)
	c.Want(long)
	gone := wsclient.Dial(t, "https://"+at+"/ws/echo")
	_ = gone.Close()
	c.Shut(1000, "")
	c.Want("close 1000", "end")
	wait.Until(t, "all are gone", func() bool { return s.metric("websockets") == 0 })
}

// TestWebSocketDrain: sockets are closed with 1001, and a drain does not wait for them.
func TestWebSocketDrain(t *testing.T) {
	s := start(t, embedded, "server.drain_timeout=10m")
	reads, sleeps, stops := wsclient.Dial(t, s.url+"/ws/echo"), wsclient.Ask(t, s.url+"/ws/ask"), wsclient.Ask(t, s.url+"/ws/ask")
	before := saw("socket sleeps")
	sleeps.Say("sleep")
	stops.Say("stop")
	wait.Until(t, "it sleeps", func() bool { return saw("socket sleeps") == before+1 })
	ended := make(chan error, 1)
	go func() { ended <- s.drain() }()
	for _, c := range []*wsclient.Conn{reads, sleeps, stops} {
		c.Want("close 1001 the server drains")
		c.Shut(1001, "")
		c.Want("end")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := saw("socket slept: the server drains, context: the server drains"); n != 1 {
		t.Errorf("the handler that slept was told %d times", n)
	}
}

// TestWebSocketCallsMax: sockets do not use up the calls of a server.
func TestWebSocketCallsMax(t *testing.T) {
	s := start(t, embedded, "server.calls_max=2")
	for range 5 {
		c := wsclient.Dial(t, s.url+"/ws/echo")
		c.Say("x")
		c.Want("x")
	}
	if status, body := s.get("/e2e/none"); status != 404 {
		t.Errorf("%d %s", status, body)
	}
}

// TestWebSocketTopic: a socket follows a topic, and reads and writes meanwhile.
func TestWebSocketTopic(t *testing.T) {
	s := start(t, embedded)
	conns := make([]*wsclient.Conn, 20)
	for i := range conns {
		conns[i] = wsclient.Dial(t, s.url+"/ws/topic")
		conns[i].Want("following")
	}
	big := strings.Repeat("e", 500<<10)
	for _, text := range []string{"first", big, "third"} {
		if status, body := s.do("POST", "/ws/tell", "text/plain", text); status >= 300 {
			t.Fatal(status, body)
		}
	}
	for _, c := range conns {
		c.Want("binary first", "binary "+big)
		c.Say("hello")
		if a, b := c.Next(), c.Next(); a+b != "binary thirdhello" && a+b != "hellobinary third" {
			t.Errorf("%.50q, %.50q", a, b)
		}
	}
}
