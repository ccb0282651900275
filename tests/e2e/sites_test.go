package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

func init() {
	once := publisher.Retry{Attempts: 2, Min: time.Millisecond}
	publisher.Consume("e2e-site", publisher.Consumer{Queue: "e2e-site-${site_id}", Exchange: "e2e-site", ExchangeType: "fanout", Retry: once, Disabled: true}, siteOf)
	publisher.Produce("e2e-site", publisher.Producer{})
	publisher.Consume("e2e-site-path", publisher.Consumer{Queue: "e2e-site-path-${site_id}", Disabled: true}, func(r *publisher.Request) error {
		return r.Text(200, r.Site()+" "+r.Path())
	})
	publisher.OnError("e2e-site", func(r *publisher.Request, err error) error {
		see("site failed " + r.Site() + " " + r.User())
		return err
	})
	publisher.Handle("GET /site/paused/{name}", func(r *publisher.Request) error {
		return r.Text(200, fmt.Sprint(r.Server().IsPaused(r.PathValue("name"))))
	})
	publisher.Handle("POST /site/pause/{name}", func(r *publisher.Request) error { return r.Pause(r.PathValue("name")) })
	publisher.Handle("POST /site/resume/{name}", func(r *publisher.Request) error { return r.Resume(r.PathValue("name")) })
}

// siteOf says for whom it handles a message, to the sender and to a queue of the site.
func siteOf(r *publisher.Request) error {
	text := fmt.Sprintf("%s %s %s", r.Site(), r.User(), r.URL("/x"))
	see("site " + text + " " + string(r.MessageID()))
	_ = r.Publish("e2e-site", text, publisher.MessageID(string(r.MessageID())))
	if string(r.Body()) == "fail" {
		return errors.New("not here")
	}
	return r.Text(200, text)
}

// twoSites are the options of two consuming servers on one connection.
var twoSites = []string{
	"site.id=home", "site.base_url=https://${site_id}.example", "consumer.e2e-site.enabled=true", "producer.e2e-site.queue=e2e-site-done-${site_id}",
	"consuming_server.eu.site_id=europe", "consuming_server.eu.user=clerk", "consuming_server.us.site_id=america",
	"consuming_server.us.base_url=http://us.example:8080/shop", "consuming_server.eu.consumers=e2e-site", "consuming_server.us.consumers=e2e-si*",
}

func TestConsumingServers(t *testing.T) { everywhere(t, consumingServers) }

func consumingServers(t *testing.T, at broker) {
	s := start(t, at, twoSites...)
	ch := s.channel()
	for _, queue := range []string{"e2e-site-done-europe", "e2e-site-done-america", "e2e-site-europe.dead", "e2e-site-america.dead"} {
		if _, err := ch.QueuePurge(queue, false); err != nil { // of other runs
			t.Fatal(err)
		}
	}
	id := unique(t)
	// By the exchange, to both: each instance handles its own copy.
	if err := ch.Publish("e2e-site", "", false, false, amqp.Publishing{MessageId: id}); err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]string{"europe": "europe clerk https://europe.example/x", "america": "america  http://us.example:8080/shop/x"} {
		if d := s.take(ch, "e2e-site-done-"+site); string(d.Body) != `"`+want+`"` || d.MessageId != id {
			t.Errorf("%s: %s", site, d.Body)
		}
		if n := saw("site " + want + " " + id); n != 1 {
			t.Errorf("%s: handled %d times", site, n)
		}
	}
	// A failed message goes through the queues of its own instance.
	if err := ch.Publish("", "e2e-site-europe", false, false, amqp.Publishing{MessageId: id + "f", Body: []byte("fail"),
		Headers: amqp.Table{publisher.TraceRoutingKey: "", publisher.TraceExchange: "e2e-site"}}); err != nil {
		t.Fatal(err)
	}
	if d := s.take(ch, "e2e-site-europe.dead"); d.MessageId != id+"f" || d.Headers[publisher.TraceHandler] != "e2e-site@eu" {
		t.Errorf("the dead letter: %s %v", d.MessageId, d.Headers)
	}
	if n := saw("site europe clerk https://europe.example/x " + id + "f"); n != 2 || saw("site failed europe clerk") == 0 {
		t.Errorf("%d attempts", n)
	}
	if calls, other := s.metric("consumer_failures_total", "consumer=e2e-site@eu"), s.metric("consumer_failures_total", "consumer=e2e-site@us"); calls != 2 || other != 0 {
		t.Errorf("failures: %v and %v", calls, other)
	}
	if !s.failedWith(`"handler":"consumer e2e-site@eu"`) {
		t.Error("the log does not name the instance")
	}
	_, parts := s.get("/readyz")
	for _, name := range []string{`"e2e-site@eu"`, `"e2e-site@us"`} {
		if !strings.Contains(parts, name) {
			t.Errorf("/readyz does not have %s: %s", name, parts)
		}
	}
	if strings.Contains(parts, `"e2e-work"`) || !strings.Contains(s.log.String(), "no consuming server has them") {
		t.Error("a consumer that no consuming server has is run, or nobody says that it is not")
	}
	pauseOneSite(t, s, ch, id)
}

// pauseOneSite pauses an instance: the other goes on.
func pauseOneSite(t *testing.T, s *server, ch *amqp.Channel, id string) {
	t.Helper()
	if status, body := s.do("POST", "/site/pause/e2e-site@eu", "", ""); status != 204 && status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if _, one := s.get("/site/paused/e2e-site@eu"); one != "true" {
		t.Errorf("paused: %s", one)
	}
	if _, all := s.get("/site/paused/e2e-site"); all != "false" {
		t.Errorf("all paused: %s", all)
	}
	if err := ch.Publish("e2e-site", "", false, false, amqp.Publishing{MessageId: id + "p"}); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the other instance", func() bool { return saw("site america  http://us.example:8080/shop/x "+id+"p") == 1 })
	if n := saw("site europe clerk https://europe.example/x " + id + "p"); n != 0 {
		t.Error("the paused instance has handled a message")
	}
	if status, body := s.do("POST", "/site/resume/e2e-site", "", ""); status != 204 && status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	wait.Until(t, "the instance that was paused", func() bool { return saw("site europe clerk https://europe.example/x "+id+"p") == 1 })
}

// TestOneQueueOfTwoSites: two sites share a queue. The server says at the start that chance
// decides, and it works.
func TestOneQueueOfTwoSites(t *testing.T) { everywhere(t, oneQueueOfTwoSites) }

func oneQueueOfTwoSites(t *testing.T, at broker) {
	s := start(t, at, append([]string{"consumer.e2e-site.queue=e2e-site-shared"}, twoSites...)...)
	if !strings.Contains(s.log.String(), `queue \"e2e-site-shared\" is consumed by e2e-site@eu, e2e-site@us: chance decides`) {
		t.Error("nobody warns")
	}
	ch := s.channel()
	id := unique(t)
	const count = 20
	for i := range count {
		s.publish(ch, "e2e-site-shared", amqp.Publishing{MessageId: fmt.Sprint(id, i)})
	}
	seen := func() (n int) {
		for i := range count {
			n += saw("site europe clerk https://europe.example/x "+fmt.Sprint(id, i)) + saw("site america  http://us.example:8080/shop/x "+fmt.Sprint(id, i))
		}
		return n
	}
	wait.Until(t, "all messages", func() bool { return seen() >= count })
	if n := seen(); n != count {
		t.Errorf("%d messages were handled %d times", count, n)
	}
}

// TestSitesOnConnectionsOfTheirOwn: a consuming server consumes where its connection says,
// whatever connection the consumer has elsewhere, and replies there.
func TestSitesOnConnectionsOfTheirOwn(t *testing.T) { everywhere(t, sitesOnConnectionsOfTheirOwn) }

func sitesOnConnectionsOfTheirOwn(t *testing.T, at broker) {
	url := at(t)
	options := append([]string{"connection.second.url=" + url, "consuming_server.us.connection=second", "consumer.e2e-site-path.enabled=true"}, twoSites...)
	options = append(options, "consuming_server.eu.consumers=e2e-site-path", "consuming_server.us.consumers=e2e-site-path")
	s := start(t, func(*testing.T) string { return url }, options...)
	ch := s.channel()
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]string{"europe": "/default/(default)/e2e-site-path-europe", "america": "/second/(default)/e2e-site-path-america"} {
		if err := ch.Publish("", "e2e-site-path-"+site, false, false, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to"}); err != nil {
			t.Fatal(err)
		}
		if d := <-replies; string(d.Body) != site+" "+want {
			t.Errorf("%s: %s", site, d.Body)
		}
	}
	for instance, connection := range map[string]string{"e2e-site-path@eu": "default", "e2e-site-path@us": "second"} {
		if up := s.metric("consumer_up", "consumer="+instance, "connection="+connection); up != 1 {
			t.Errorf("%s on %s: consumer_up is %v", instance, connection, up)
		}
	}
}
