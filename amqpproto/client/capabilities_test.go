package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto/client"
)

// unextended is a broker without RabbitMQ's extensions.
func unextended(b *fakeBroker) { b.capabilities = nil }

func (f *fixture) logged(method string) bool {
	return slices.ContainsFunc(f.broker.log, func(line string) bool { return strings.HasSuffix(line, " "+method) })
}

// TestBrokerWithoutExtensions: the client replaces the extensions that the broker lacks, and
// reports it.
func TestBrokerWithoutExtensions(t *testing.T) {
	s := &sink{}
	f := newFixture(t, 1, client.Config{})
	f.prepare = unextended
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 10, Topology: client.Topology{Queues: []client.Queue{
		{Name: "q", Args: amqp.Table{"x-dead-letter-exchange": "", "x-qpid-priorities": int32(3)}, Spare: []string{"x-dead-letter-exchange"}},
		{Name: "q.retry", Args: amqp.Table{"x-message-ttl": int32(1)}, Extension: true},
	}}}, s)
	var done confirms
	f.publish(nil, to("a"), &done)
	f.publish(nil, to("b"), &done)
	r := newReplies()
	f.request(r, 0, "k", time.Minute)
	f.connect()
	if k.State() != client.Up || f.client.HasArguments() {
		t.Fatal(k.State(), k.Err())
	}
	if len(done.got) != 2 || f.logged("confirm.select") || transcript(f.broker.log) != "ppCp" && transcript(f.broker.log) != "pppC" {
		t.Errorf("%v %v", done.got, f.broker.log)
	}
	if target := f.broker.requests[0].target; r.errs[0] != nil || strings.Contains(target, "amq.rabbitmq") {
		t.Errorf("%q %v", target, r.errs[0])
	}
	if n := strings.Count(strings.Join(f.broker.log, "\n"), "queue.declare"); n != 2 { // q, and the reply queue
		t.Errorf("%d queues were declared: %v", n, f.broker.log)
	}
	f.broker.deliver("c", "x")
	f.broker.deliver("c", "y")
	f.run()
	k.Nack(1, 1, true)
	k.Reject(1, 2, false)
	f.run()
	if want := []string{"reject 1 true", "reject 2 false"}; !slices.Equal(f.broker.acks, want) {
		t.Errorf("%v", f.broker.acks)
	}
	if text := f.last(client.EventConnected).Text; !strings.Contains(text, "without publisher confirms (") || !strings.Contains(text, "basic.nack") {
		t.Error(text)
	}
	// Another node may be a RabbitMQ.
	f.prepare = nil
	f.broker.script.Close()
	f.run()
	f.clock.Advance(time.Minute)
	f.run()
	f.publish(nil, to("c"), &done)
	f.run()
	if len(done.got) != 3 || !f.logged("confirm.select") || f.logged("tx.select") || !f.client.HasArguments() {
		t.Errorf("%v %v", done.got, f.broker.log)
	}
}

// TestExtensionsAreRefused: the client does not send what would make the broker close the
// connection.
func TestExtensionsAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, want string
		topology   client.Topology
	}{
		{"queue", "argument x-message-ttl is one of RabbitMQ's", client.Topology{Queues: []client.Queue{{Name: "q", Args: amqp.Table{"x-message-ttl": int32(5)}}}}},
		{"exchange", "argument alternate-exchange", client.Topology{Exchanges: []client.Exchange{{Name: "x", Args: amqp.Table{"alternate-exchange": "y"}}}}},
		{"binding", "bind the queue to both", client.Topology{ExchangeBindings: []client.ExchangeBinding{{Source: "x", Destination: "y"}}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 1, client.Config{})
			f.prepare = unextended
			f.connect()
			f.broker.log = nil
			var got error
			must(t, f.client.Declare(&row.topology, func(_ []string, err error) { got = err }))
			f.run()
			var te *client.TopologyError
			if !errors.As(got, &te) || !strings.Contains(got.Error(), row.want) || f.logged("queue.declare") || f.logged("exchange.declare") {
				t.Fatal(got, f.broker.log)
			}
		})
	}
}
