package publisher_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

func TestRequestOfAMessage(t *testing.T) {
	b := newBench(t)
	stamp := time.Unix(1700000000, 0)
	props := publisher.Publishing{
		Headers:     publisher.Table{"x-tenant": "acme", "n": int64(5), "t": publisher.Table{}, "Message-Id": "hidden"},
		ContentType: "text/plain", ContentEncoding: "identity", DeliveryMode: 2, Priority: 3, CorrelationId: "c",
		Expiration: "1000", MessageId: "m", Timestamp: stamp, Type: "ty", UserId: "u", AppId: "a", Body: []byte("body"),
	}
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "content-encoding": "identity", "Delivery-Mode": "2", "Priority": "3",
			"Correlation-Id": "c", "Expiration": "1000", "Message-Id": "m", "Timestamp": "1700000000", "Type": "ty",
			"User-Id": "u", "App-Id": "a", "X-Tenant": "acme", "N": "5", "T": "", "missing": "",
		} {
			if got := r.Header(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if h := r.Headers(); h.Get("Message-Id") != "m" || h.Get("X-Tenant") != "" && h.Get("n") != "5" {
			t.Errorf("%v", h)
		}
		if r.Method() != "AMQP" || r.Path() != "/default/orders/order.created" || r.Origin() != publisher.OriginMessage {
			t.Errorf("%s %s %s", r.Method(), r.Path(), r.Origin())
		}
		d := r.Delivery()
		if d.DeliveryTag != 7 || d.RoutingKey != "order.created" || string(d.Body) != "body" || !d.Timestamp.Equal(stamp) || d.Headers["n"] != int64(5) {
			t.Errorf("%+v", d)
		}
		return nil
	})
	b.start(publisher.Options{})
	b.message("c", 1, props)
	b.last()
}

func TestPathOfAMessageIsEscaped(t *testing.T) {
	b := newBench(t)
	paths := []string{}
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		paths = append(paths, r.Target(), r.Path())
		return nil
	})
	b.start(publisher.Options{})
	for _, m := range []publisher.Message{
		{Exchange: nil, RoutingKey: []byte("q")},
		{Exchange: []byte("a/b?c"), RoutingKey: []byte("%\x00é")},
	} {
		m.Connection, m.Consumer, m.Properties = "default", "c", []byte{0, 0}
		r := b.server.NewCall()
		if err := r.SetMessage(&m); err != nil {
			t.Fatal(err)
		}
		b.server.Dispatch(r, b)
	}
	want := "/default/(default)/q /default/(default)/q /default/a%2Fb%3Fc/%25%00%C3%A9 /default/a/b?c/%\x00é"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("%q", got)
	}
}

func TestTargetForms(t *testing.T) { // RFC 9112 §3.2
	for _, row := range []struct{ target, path, query string }{
		{"/a%20b?x=1&x=2", "/a b", "1,2"},
		{"http://example.com/a?x=3", "/a", "3"},
		{"http://example.com", "/", ""},
		{"http://example.com?x=1", "/", "1"},
		{"/a?", "/a", ""},
	} {
		b := newBench(t)
		b.reg.Handle("/", func(r *publisher.Request) error {
			if got := strings.Join(r.Query()["x"], ","); r.Path() != row.path || got != row.query || r.Target() != row.target {
				t.Errorf("%s: path %q, query %q", row.target, r.Path(), got)
			}
			return nil
		})
		b.start(publisher.Options{})
		b.request("GET", row.target, "", "")
		b.last()
	}
}

func TestNetHTTPHandlersRunUnchanged(t *testing.T) {
	b := newBench(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{id}", func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r := publisher.FromContext(req.Context())
		if err := r.Publish("out", string(body)); err != nil {
			t.Error(err)
		}
		w.Header().Add("X-Id", req.PathValue("id"))
		w.Header().Add("X-Id", req.URL.Query().Get("q"))
		w.WriteHeader(201)
		_, _ = w.Write([]byte("<html>" + req.Header.Get("Content-Type") + req.Host))
	})
	mux.HandleFunc("AMQP /default/orders/{key}", func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.PathValue("key"))
	})
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Handle("/api/", publisher.HTTP(mux))
	b.reg.Consume("c", publisher.Consumer{}, publisher.HTTP(mux))
	b.start(publisher.Options{})
	b.request("POST", "/api/5?q=z", "a/b", "payload")
	b.until("the publish has left", func() bool { return len(b.sent) == 1 })
	b.pending()
	b.confirm(0, nil)
	o := b.last()
	if o.status != 201 || o.body != "<html>a/blocalhost" || o.contentType != "text/html; charset=utf-8" ||
		o.lines != "X-Id: 5\r\nX-Id: z\r\n" || b.sent[0].body != `"payload"` {
		t.Errorf("%+v, %+v", o, b.sent)
	}
	b.message("c", 1, publisher.Publishing{ReplyTo: "q"})
	b.until("the reply has left", func() bool { return len(b.sent) == 2 })
	if got := b.sent[1].body; got != "order.created" {
		t.Errorf("reply %q", got)
	}
	b.confirm(1, nil)
}

func TestRequestsAreReusedClean(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("/", func(r *publisher.Request) error {
		if r.Header("X") != "" || len(r.Body()) > 0 && string(r.Body()) != "first" || len((*publisher.Call)(r).Response().Lines()) != 0 || r.MessageID() != nil {
			t.Errorf("something is left: %q %q", r.Body(), (*publisher.Call)(r).Response().Lines())
		}
		r.SetHeader("X", "y")
		return r.Text(200, "x")
	})
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { return nil })
	b.start(publisher.Options{})
	b.request("POST", "/", "a/b", "first")
	b.message("c", 1, publisher.Publishing{MessageId: "m", Body: []byte("large")})
	b.request("GET", "/", "", "")
	b.message("c", 1, publisher.Publishing{})
	b.request("GET", "/", "", "")
}
