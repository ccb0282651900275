package interop_test

import (
	"encoding/json"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/amqpclient"
)

// TestServerDiesWithItsBroker kills a server with its broker in it while orders
// come in, and starts it again: each order that was answered with 202 is in every
// queue that it was routed to. After a clean stop each is there once.
func TestServerDiesWithItsBroker(t *testing.T) {
	n := newInside(t)
	const kept = "kept"
	taken := map[string]bool{}
	for round, how := range []string{"killed", "killed", "stopped"} {
		s := n.launch(t)
		if round == 0 {
			keepOrders(t, n.url(), kept)
		}
		load := newBuyers(s.url, 8)
		load.more(t, 300)
		if how == "killed" {
			s.Kill()
		} else {
			s.stop()
		}
		ids, _ := load.end()
		if len(ids) == 0 {
			t.Fatalf("round %d: no order was taken", round)
		}
		for _, id := range ids {
			taken[id] = true
		}
	}
	s := n.launch(t)
	seen := takeOrders(t, n.url(), kept)
	missing := 0
	for id := range taken {
		if seen[id] == 0 {
			missing++
		}
	}
	twice := 0
	for _, count := range seen {
		if count > 1 {
			twice++
		}
	}
	t.Logf("%d orders taken, %d kept", len(taken), len(seen))
	if missing > 0 || twice > 0 {
		t.Errorf("of %d orders answered with 202 %d are lost; %d were kept twice", len(taken), missing, twice)
	}
	s.stop()
}

// keepOrders binds a durable queue that nobody consumes from to the orders.
func keepOrders(t *testing.T, url, queue string) {
	t.Helper()
	ch := amqpclient.Channel(t, url)
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(queue, "zamqp-demo.order.created", "zamqp-demo.orders", false, nil); err != nil {
		t.Fatal(err)
	}
}

// takeOrders empties the queue and counts each order.
func takeOrders(t *testing.T, url, queue string) map[string]int {
	t.Helper()
	ch := amqpclient.Channel(t, url)
	seen := map[string]int{}
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return seen
		}
		var order struct{ ID string }
		if err := json.Unmarshal(d.Body, &order); err != nil {
			t.Fatal(err)
		}
		seen[order.ID]++
	}
}

// TestStopTellsTheClients: other clients of a broker that stops get a close with
// 320. The server's own calls are finished before.
func TestStopTellsTheClients(t *testing.T) {
	n := newInside(t)
	s := n.launch(t)
	conn, err := amqp.Dial(n.url())
	if err != nil {
		t.Fatal(err)
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	s.stop()
	select {
	case reason := <-closed:
		if reason == nil || reason.Code != amqp.ConnectionForced || !reason.Server {
			t.Errorf("closed with %v, want 320", reason)
		}
	case <-time.After(patience):
		t.Error("the client was told nothing")
	}
}
