package interop_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/amqpclient"
)

// TestConsumingServers: two consuming servers share a connection. Each message is handled by the
// instance of its own site, with the user and the base URL of that site, and its publishes go to
// that site's queues.
func TestConsumingServers(t *testing.T) { apart(t, consumingServers) }

func consumingServers(t *testing.T, n node) {
	s := startOutsider(t, n.url(),
		"site.id=home", "producer.site.queue=interop-site-seen-${site_id}", "consumer.site.enabled=true", "consumer.site-route.enabled=true",
		"consuming_server.eu.site_id=europe", "consuming_server.eu.user=clerk", "consuming_server.eu.base_url=https://eu.shop.example/de",
		"consuming_server.us.site_id=america", "consuming_server.us.base_url=http://us.shop.example:8080", "consuming_server.us.user=agent",
		"consuming_server.eu.consumers=site*", "consuming_server.us.consumers=site,site-route")
	ch := amqpclient.Channel(t, n.url())
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	const each = 50
	want := map[string]string{
		"interop-site-europe":        "europe clerk https://eu.shop.example/de/orders/7",
		"interop-site-america":       "america agent http://us.shop.example:8080/orders/7",
		"interop-site-route-europe":  "europe clerk https://eu.shop.example https://eu.shop.example/de/orders/7",
		"interop-site-route-america": "america agent http://us.shop.example:8080 http://us.shop.example:8080/orders/7",
	}
	for i := range each {
		for queue := range want {
			p := amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: fmt.Sprintf("%s %d", queue, i), Headers: amqp.Table{"Host": "evil.example"}}
			if err := ch.PublishWithContext(context.Background(), "", queue, true, false, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range each * len(want) {
		d := <-replies
		queue, _, _ := strings.Cut(d.CorrelationId, " ")
		if string(d.Body) != want[queue] {
			t.Fatalf("%s: %s, want %s", d.CorrelationId, d.Body, want[queue])
		}
	}
	for _, site := range []string{"europe", "america"} {
		seen, err := ch.Consume("interop-site-seen-"+site, "", true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range each {
			if d := <-seen; d.Headers["site"] != site {
				t.Fatalf("the queue of %s has %s of %v", site, d.Body, d.Headers["site"])
			}
		}
	}
	var ready struct {
		Parts []struct{ Kind, Name string }
	}
	if err := s.json("/readyz", &ready); err != nil {
		t.Fatal(err)
	}
	parts := fmt.Sprint(ready.Parts)
	for _, part := range []string{"{consumer site@eu}", "{consumer site@us}", "{consumer site-route@eu}", "{consumer site-route@us}"} {
		if !strings.Contains(parts, part) {
			t.Errorf("/readyz has no part %s: %s", part, parts)
		}
	}
	if strings.Contains(parts, "{consumer hello") || !strings.Contains(s.log.String(), "consumers are not run: no consuming server has them") {
		t.Errorf("the consumers that no consuming server has: %s", parts)
	}
	s.stop()
}
