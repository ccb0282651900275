package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("GET /url/own", func(r *publisher.Request) error { return r.Text(200, r.URL("/orders/7")) })
	publisher.Handle("GET /url/net", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.URL.Scheme, " ", publisher.FromContext(r.Context()).URL("/orders/7"))
	})))
	publisher.Consume("e2e-url-own", publisher.Consumer{Route: "GET /url/own"}, nil)
	publisher.Consume("e2e-url-net", publisher.Consumer{Route: "GET /url/net"}, nil)
}

func TestURLs(t *testing.T) { everywhere(t, urls) }

func urls(t *testing.T, at broker) {
	s := start(t, at, "site.base_url=https://shop.example/eu", "http.trusted_proxies=127.0.0.0/8")
	ch := s.channel()
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for queue, want := range map[string]string{"e2e-url-own": "https://shop.example/eu/orders/7", "e2e-url-net": "shop.example https https://shop.example/eu/orders/7"} {
		p := amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", Headers: amqp.Table{"Host": "evil.example", "X-Forwarded-Host": "evil.example"}}
		if err := ch.Publish("", queue, false, false, p); err != nil {
			t.Fatal(err)
		}
		if d := <-replies; string(d.Body) != want {
			t.Errorf("%s: %s, want %s", queue, d.Body, want)
		}
	}
	if got := s.asProxy("/url/own"); got != "https://www.example/orders/7" {
		t.Errorf("by a trusted proxy: %s", got)
	}
	if got := s.asProxy("/url/net"); got != "www.example https https://www.example/orders/7" {
		t.Errorf("by a trusted proxy, for net/http: %s", got)
	}
}

func TestUntrustedProxy(t *testing.T) {
	s := start(t, embedded, "http.trusted_proxies=192.0.2.0/24")
	if got := s.asProxy("/url/own"); got != s.url+"/orders/7" {
		t.Errorf("%s", got)
	}
}

// asProxy gets a path as a proxy does.
func (s *server) asProxy(path string) string {
	s.t.Helper()
	req, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-Proto", "https")
	req.Header.Set("X-Forwarded-Host", "evil.example, www.example")
	req.Header.Set("X-Forwarded-For", "127.0.0.1, 192.0.2.7")
	req.Header.Set("Forwarded", "host=evil.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
