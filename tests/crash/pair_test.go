package crash_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

// TestPoisonOfTwo: two processes consume the queue, and each is started again when it has
// ended. Each knows only its own ends, with a directory of its own and with a shared one.
func TestPoisonOfTwo(t *testing.T) {
	for broker, url := range brokers {
		at := url(t)
		for _, data := range [][]string{{"data", "data"}, {"data", "other"}} {
			t.Run(broker+" "+data[1], func(t *testing.T) {
				s := newSite(t, at, "usual", "data")
				s.connect()
				s.prepare()
				harmless := bodies(60, "harmless %d 30ms")
				s.publish(harmless[:20]...)
				s.publish("poison at once")
				s.publish(harmless[20:]...)
				s.loopAll(len(data)*publisher.RetryCrashes, data, func() bool { return s.count(s.queue+".dead") > 0 && s.handled(harmless) })
				t.Logf("%d ends, %d of %d harmless messages were handled twice", s.deaths, twice(s.ledger("end")), len(harmless))
				s.empty(0)
				s.wantDead(1)
			})
		}
	}
}

// TestMovedByAnother: a message of the quarantine ends a process, and another process moves
// it before the first is back. The copy is not a second delivery for that one, but it still
// knows about its own end.
func TestMovedByAnother(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newSite(t, url(t), "usual", "data")
			s.connect()
			s.prepare()
			quarantine := s.queue + ".quarantine"
			poison := func(crashes int64) {
				if err := s.ch.Publish("", quarantine, true, false, amqp.Publishing{DeliveryMode: 2, MessageId: "poison", Body: []byte("poison at once"),
					Headers: amqp.Table{publisher.TraceCrashes: crashes, publisher.TraceExchange: "", publisher.TraceRoutingKey: s.queue}}); err != nil {
					t.Fatal(err)
				}
				s.eventually("the poison", func() bool { return s.count(quarantine) == 1 })
			}
			poison(1)
			<-s.start().Ended()
			s.eventually("it is back", func() bool { return s.count(quarantine) == 1 })
			if n := len(s.drain(quarantine)); n != 1 {
				t.Fatalf("%d messages", n)
			}
			poison(2) // with what the other process knew
			s.loop(1, func() bool { return s.count(s.queue+".dead") > 0 })
			s.empty(0)
			s.wantDead(1)
		})
	}
}
