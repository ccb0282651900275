package publishertest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// shops are two consuming servers.
func shops(t *testing.T, g *publisher.Registry) *publishertest.Server {
	t.Helper()
	base := func(text string) *publisher.BaseURL {
		u, err := publisher.ParseBaseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	return publishertest.New(t, g,
		publishertest.ConsumingServer("eu", publisher.ConsumingServer{Site: "europe", User: "clerk", BaseURL: base("https://eu.shop.example/de")}),
		publishertest.ConsumingServer("us", publisher.ConsumingServer{Site: "america", BaseURL: base("http://us.shop.example:8080")}))
}

// TestConsumingServers: each instance of a consumer has its own site, user and base URL,
// in our handlers and in those of net/http, and publishes by the names of its site.
func TestConsumingServers(t *testing.T) {
	g := publisher.NewRegistry()
	g.Produce("shipping", publisher.Producer{Exchange: "shipping-${site_id}"})
	g.Produce("plain", publisher.Producer{Queue: "plain"})
	own := func(r *publisher.Request) error {
		_ = r.Publish("shipping", 1, publisher.Key("k-${site_id}"))
		_ = r.Publish("plain", 1)
		return r.Text(200, fmt.Sprintf("%s %s %s %s %s", r.Site(), r.User(), r.URL("/orders/7"), r.Host(), r.Scheme()))
	}
	mounted := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := publisher.FromContext(req.Context())
		_ = r.Publish("shipping", 1, publisher.Key("k-${site_id}"))
		_ = r.Publish("plain", 1)
		_, _ = io.WriteString(w, fmt.Sprintf("%s %s %s %s %s", r.Site(), r.User(), r.URL("/orders/7"), req.Host, req.URL.Scheme))
	})
	g.Handle("POST /http", publisher.HTTP(mounted))
	g.Handle("POST /inline", publisher.Inline(mounted))
	g.Handle("POST /own", own)
	g.Consume("own", publisher.Consumer{Queue: "own-${site_id}"}, own)
	for _, route := range []string{"http", "inline"} {
		g.Consume(route, publisher.Consumer{Route: "POST /" + route}, nil)
	}
	s := shops(t, g)
	for _, consumer := range []string{"own", "http", "inline"} {
		for server, want := range map[string]string{
			"eu": "europe clerk https://eu.shop.example/de/orders/7 eu.shop.example https",
			"us": "america  http://us.shop.example:8080/orders/7 us.shop.example:8080 http",
		} {
			site := map[string]string{"eu": "europe", "us": "america"}[server]
			got := s.Deliver(publisher.InstanceName(consumer, server), publisher.Publishing{ReplyTo: "answers"})
			if got.Settlement != publisher.SettleAck || got.Reply == nil || string(got.Reply.Body) != want {
				t.Errorf("%s at %s: %+v, %+v", consumer, server, got.Outcome, got.Reply)
			}
			p := s.Published()
			if len(p) != 2 || p[0].Exchange != "shipping-"+site || p[0].RoutingKey != "k-"+site || p[1].RoutingKey != "plain" {
				t.Errorf("%s at %s has published %+v", consumer, server, p)
			}
		}
	}
	// A request of HTTP is for no consuming server, whatever its call was before.
	if got := s.Request("POST", "/own", "", ""); got.Body != publisher.SiteVariable+"  http://localhost/orders/7 localhost http" {
		t.Errorf("by HTTP: %+v", got)
	}
}

// TestErrorHandlersOfSites: an error handler for an exchange with ${site_id} in its name gets the
// failures of each site's own exchange.
func TestErrorHandlersOfSites(t *testing.T) {
	g := publisher.NewRegistry()
	g.Consume("orders", publisher.Consumer{}, func(*publisher.Request) error { return errors.New("no") })
	seen := ""
	g.OnError("", func(r *publisher.Request, err error) error {
		seen += r.Site() + " " + r.User() + " "
		return nil
	})
	s := shops(t, g)
	for _, instance := range []string{"orders@eu", "orders@us"} {
		if got := s.Deliver(instance, publisher.Publishing{}); got.Settlement != publisher.SettleAck {
			t.Errorf("%s: %+v", instance, got)
		}
	}
	if seen != "europe clerk america  " {
		t.Errorf("%q", seen)
	}
}

// TestPauseOfInstances: the name of a consumer means all its instances, and the name of an
// instance only that one.
func TestPauseOfInstances(t *testing.T) {
	g := publisher.NewRegistry()
	g.Consume("orders", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	var paused string
	var failed error
	g.Handle("POST /pause/{what}", func(r *publisher.Request) error { return r.Pause(r.PathValue("what")) })
	g.Handle("POST /resume/{what}", func(r *publisher.Request) error { return r.Resume(r.PathValue("what")) })
	g.Handle("GET /paused", func(r *publisher.Request) error {
		paused = ""
		for _, name := range []string{"orders", "orders@eu", "orders@us"} {
			paused += fmt.Sprint(r.Server().IsPaused(name), " ")
		}
		failed = r.Server().Pause("orders@asia")
		return nil
	})
	s := shops(t, g)
	for _, row := range []struct{ path, want string }{
		{"/pause/orders@eu", "false true false "},
		{"/pause/orders", "true true true "},
		{"/resume/orders@us", "false true false "},
		{"/resume/orders", "false false false "},
	} {
		if got := s.Request("POST", row.path, "", ""); got.Err != nil {
			t.Errorf("%s: %v", row.path, got.Err)
		}
		s.Request("GET", "/paused", "", "")
		if paused != row.want || failed == nil {
			t.Errorf("%s: %s, %v", row.path, paused, failed)
		}
	}
}
