package e2e_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

type guest struct{}

func init() {
	publisher.Produce("e2e-guarded", publisher.Producer{Queue: "e2e-guarded"})
	publisher.Handle("POST /guarded/own", guardedOwn)
	publisher.Handle("POST /guarded/net", publisher.HTTP(http.HandlerFunc(guardedNet)))
	publisher.Handle("POST /guarded/waits", func(r *publisher.Request) error {
		see("guarded: waits")
		_ = r.Publish("e2e-guarded", "of a call that was cut off")
		return r.Sleep(time.Hour)
	})
	publisher.UseHTTP(guard, "/guarded/")
}

// guard lets only clients in that say who they are, and replaces the answer by a failure if they
// ask for that.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		q := req.URL.Query()
		name := q.Get("name")
		if name == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), guest{}, name)))
		if q.Has("spoil") {
			panic("on purpose, behind the handler")
		}
	})
}

func guardedOwn(r *publisher.Request) error {
	name := r.Context().Value(guest{}).(string)
	_ = r.Publish("e2e-guarded", name)
	return r.Text(202, name)
}

func guardedNet(w http.ResponseWriter, req *http.Request) {
	name := req.Context().Value(guest{}).(string)
	_ = publisher.FromContext(req.Context()).Publish("e2e-guarded", name)
	w.WriteHeader(202)
	_, _ = w.Write([]byte(name))
}

func TestMiddleware(t *testing.T) { everywhere(t, middleware) }

// middleware: what a call publishes is there if the whole chain has answered a success, and only
// then.
func middleware(t *testing.T, at broker) {
	s := start(t, at, "server.drain_timeout=300ms")
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-guarded", false); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		target string
		status int
		body   string
	}{
		{"?", 401, "who are you?\n"}, {"?name=ada", 202, "ada"}, {"?name=eve&spoil", 500, "Internal Server Error\n"}, {"?name=bob", 202, "bob"},
	} {
		for _, handler := range []string{"own", "net"} {
			if status, body := s.do("POST", "/guarded/"+handler+row.target, "", ""); status != row.status || body != row.body {
				t.Errorf("%s%s: %d %q", handler, row.target, status, body)
			}
		}
	}
	for _, want := range []string{"ada", "ada", "bob", "bob"} {
		if d := s.take(ch, "e2e-guarded"); string(d.Body) != `"`+want+`"` {
			t.Errorf("published %q, wanted %q", d.Body, want)
		}
	}
	go func() {
		resp, err := http.Post(s.url+"/guarded/waits?name=ada", "", nil)
		if err == nil {
			_ = resp.Body.Close() // it is cut off at the end of the test
		}
	}()
	wait.Until(t, "the handler waits", func() bool { return saw("guarded: waits") >= 1 })
	if q, err := ch.QueueDeclarePassive("e2e-guarded", true, false, false, false, nil); err != nil || q.Messages != 0 {
		t.Errorf("%+v %v", q, err)
	}
}

// TestDrainOfMiddleware: a drain waits for a call inside of middleware, and cuts it off when
// its time is up.
func TestDrainOfMiddleware(t *testing.T) {
	s := start(t, embedded, "server.drain_timeout=300ms")
	before := saw("guarded: waits")
	answered := make(chan int, 1)
	go func() {
		status, _ := s.do("POST", "/guarded/waits?name=ada", "", "")
		answered <- status
	}()
	wait.Until(t, "the handler waits", func() bool { return saw("guarded: waits") > before })
	err := s.drain()
	if status := <-answered; status != 503 {
		t.Errorf("answered with %d, and the drain ended with %v", status, err)
	}
}
