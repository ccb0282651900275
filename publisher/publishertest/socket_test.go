package publishertest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// sockets has handlers of WebSockets.
func sockets() *publisher.Registry {
	g := publisher.NewRegistry()
	g.Produce("said", publisher.Producer{Queue: "said", Codec: "text"})
	g.WebSocket("GET /echo/{name}", func(ws *publisher.Socket) error {
		if ws.PathValue("name") == "nobody" {
			return publisher.Errorf(401, "who are you?")
		}
		for {
			kind, p, err := ws.Read()
			if err != nil {
				return err
			}
			switch string(p) {
			case "publish":
				_ = ws.Publish("said", ws.PathValue("name"))
				continue
			case "commit":
				_ = ws.Publish("said", "commits")
				if err := ws.WriteText(resultOf(ws.Commit())); err != nil {
					return err
				}
				continue
			case "fail":
				_ = ws.Publish("said", "failed")
				return errors.New("on purpose")
			case "sleep":
				if err := ws.Sleep(time.Hour); err != nil {
					return err
				}
			}
			if err := ws.Write(kind, p); err != nil {
				return err
			}
		}
	}, publisher.Subprotocols("echo"))
	g.AddTopic("news", publisher.Topic{})
	g.WebSocket("GET /news", func(ws *publisher.Socket) error {
		if err := ws.Follow("news"); err != nil {
			return err
		}
		return ws.AwaitClose()
	})
	g.WebSocket("GET /strict", func(ws *publisher.Socket) error {
		if err := ws.FollowOnly("news", func(*publisher.Event) bool { panic("on purpose") }); err != nil {
			return err
		}
		return ws.AwaitClose()
	})
	g.Handle("POST /news", func(r *publisher.Request) error {
		return r.Broadcast("news", publisher.Event{Data: map[string]string{"text": string(r.Body())}})
	})
	g.Handle("GET /plain", func(r *publisher.Request) error { return r.Text(200, "plain") })
	return g
}

func resultOf(err error) string {
	if err == nil {
		return "committed"
	}
	return err.Error()
}

func TestSocket(t *testing.T) {
	s := publishertest.New(t, sockets())
	c := s.Dial("/echo/me", "Sec-WebSocket-Protocol: other, echo")
	if c.Subprotocol() != "echo" {
		t.Errorf("%q", c.Subprotocol())
	}
	c.Send("hello")
	if got := c.Next(); got.Data != "hello" || got.Kind != publisher.TextMessage {
		t.Errorf("%+v", got)
	}
	long := strings.Repeat("long ", 100_000)
	c.SendBinary([]byte(long))
	if got := c.Next(); got.Data != long || got.Kind != publisher.BinaryMessage {
		t.Errorf("%d octets", len(got.Data))
	}
	c.Send("sleep")
	if got := c.Messages(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := c.Next(); got.Data != "sleep" {
		t.Errorf("%+v", got)
	}
	if got := c.Close(1000, ""); got.Err != nil {
		t.Error(got.Err)
	}
}

// TestSocketTransactions: Read and Commit commit; an error aborts.
func TestSocketTransactions(t *testing.T) {
	s := publishertest.New(t, sockets())
	c := s.Dial("/echo/me")
	c.Send("publish")
	c.Send("x")
	c.Next()
	if got := s.Published(); len(got) != 1 || string(got[0].Body) != "me" {
		t.Errorf("%+v", got)
	}
	c.Send("commit")
	if got := c.Next(); got.Data != "committed" || len(s.Published()) != 1 {
		t.Errorf("%+v", got)
	}
	s.Confirm(errors.New("nacked"))
	c.Send("commit")
	if got := c.Next(); !strings.Contains(got.Data, "nacked") {
		t.Errorf("%+v", got)
	}
	s.Confirm(nil)
	s.Published()
	c.Send("fail")
	if code, _ := c.Closed(); code != 1011 || len(s.Published()) != 0 || c.Outcome().Err == nil {
		t.Errorf("closed with %d: %v", code, c.Outcome())
	}
	c = s.Dial("/echo/me")
	s.Confirm(errors.New("nacked"))
	c.Send("publish")
	if code, reason := c.Closed(); code != 1013 || reason != "Service Unavailable" {
		t.Errorf("closed with %d %s", code, reason)
	}
}

func TestSocketRefused(t *testing.T) {
	s := publishertest.New(t, sockets())
	if c, got := s.TryDial("/echo/nobody"); c != nil || got.Status != 401 {
		t.Errorf("%+v", got)
	}
	if c, got := s.TryDial("/echo/me", "Origin: http://elsewhere"); c != nil || got.Status != 403 {
		t.Errorf("%+v", got)
	}
	if got := s.Request("GET", "/echo/me", "", ""); got.Status != 426 || got.Header.Get("Upgrade") != "websocket" {
		t.Errorf("%+v", got)
	}
	if c, got := s.TryDial("/plain"); c != nil || got.Body != "plain" {
		t.Errorf("%+v", got)
	}
}

// TestSocketBehindMiddleware: middleware of net/http sees the request of a socket, may refuse
// it, and may change it and the header of its answer. The handler runs after it, and may
// still refuse.
func TestSocketBehindMiddleware(t *testing.T) {
	g := sockets()
	type user struct{}
	seen := ""
	g.UseHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "" {
				http.Error(w, "a token, please", http.StatusUnauthorized)
				return
			}
			w.Header().Set("X-Seen", "yes")
			next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), user{}, "Alice")))
		})
	}, "/echo/", "/who")
	g.WebSocket("GET /who", func(ws *publisher.Socket) error {
		seen, _ = ws.Context().Value(user{}).(string)
		_, _, err := ws.Read()
		return err
	})
	s := publishertest.New(t, g)
	if c, got := s.TryDial("/echo/me"); c != nil || got.Status != 401 || got.Body != "a token, please\n" {
		t.Errorf("%+v", got)
	}
	if c, got := s.TryDial("/echo/nobody", "Authorization: x"); c != nil || got.Status != 401 || got.Body != "who are you?\n" {
		t.Errorf("%+v", got)
	}
	if c, got := s.TryDial("/echo/me", "Authorization: x", "Origin: http://elsewhere"); c != nil || got.Status != 403 {
		t.Errorf("%+v", got)
	}
	c, got := s.TryDial("/echo/me", "Authorization: x")
	if c == nil || got.Header.Get("X-Seen") != "yes" {
		t.Fatalf("%+v", got)
	}
	c.Send("hello")
	if got := c.Next(); got.Data != "hello" {
		t.Errorf("%+v", got)
	}
	c.Send("publish")
	if got := c.Close(1000, ""); got.Err != nil || len(s.Published()) != 1 {
		t.Errorf("%+v", got)
	}
	s.Dial("/who", "Authorization: x").Close(1000, "")
	if seen != "Alice" {
		t.Errorf("the handler sees %q in its context", seen)
	}
}

func TestSocketOfATopic(t *testing.T) {
	s := publishertest.New(t, sockets())
	one, two := s.Dial("/news"), s.Dial("/news")
	s.Request("POST", "/news", "text/plain", "first")
	for _, c := range []*publishertest.Socket{one, two} {
		if got := c.Next(); got.Data != `{"text":"first"}` || got.Kind != publisher.TextMessage {
			t.Errorf("%+v", got)
		}
	}
	if got := one.Drop(); got.Err != nil {
		t.Error(got.Err)
	}
	s.Request("POST", "/news", "text/plain", "second")
	if got := two.Next(); got.Data != `{"text":"second"}` {
		t.Errorf("%+v", got)
	}
}

// TestSocketWhoseFilterPanics: its call fails with the panic, and no other socket ends.
func TestSocketWhoseFilterPanics(t *testing.T) {
	s := publishertest.New(t, sockets())
	strict, other := s.Dial("/strict"), s.Dial("/news")
	s.Request("POST", "/news", "text/plain", "rain")
	if code, _ := strict.Closed(); code != 1011 {
		t.Errorf("closed with %d", code)
	}
	var p *publisher.PanicError
	if got := strict.Outcome(); !errors.As(got.Err, &p) || p.Value != "on purpose" {
		t.Errorf("%+v", got)
	}
	if got := other.Next(); !strings.Contains(got.Data, "rain") {
		t.Errorf("%+v", got)
	}
}

func TestSocketDrain(t *testing.T) {
	s := publishertest.New(t, sockets())
	c := s.Dial("/echo/me")
	s.Server().BeginDrain()
	if code, reason := c.Closed(); code != 1001 || reason != "the server drains" {
		t.Errorf("%d %s", code, reason)
	}
	if _, got := s.TryDial("/echo/me"); got.Status != 503 {
		t.Errorf("%+v", got)
	}
}
