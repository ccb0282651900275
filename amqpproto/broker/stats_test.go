package broker_test

import (
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// TestQueueStats: those of shared queues, and none when they are too many.
func TestQueueStats(t *testing.T) {
	f := newFixture(t, broker.Options{})
	c := newFeeder(t, f)
	c.method(&amqpproto.QueueDeclare{Queue: []byte("work")})
	c.method(&amqpproto.QueueDeclare{Queue: []byte("own"), Exclusive: true})
	c.turn(publication(t, 1, "", "work", "four", amqpproto.Properties{}, false))
	want := broker.QueueStats{Vhost: "/", Name: "work", Messages: 1, Bytes: 4}
	if got := f.server.QueueStats(1); len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v alone", got, want)
	}
	c.method(&amqpproto.QueueDeclare{Queue: []byte("more")})
	if got := f.server.QueueStats(2); len(got) != 2 {
		t.Errorf("%+v, want two", got)
	}
	if got := f.server.QueueStats(1); got != nil {
		t.Errorf("%+v, want none: there are two", got)
	}
}
