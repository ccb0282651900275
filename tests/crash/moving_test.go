package crash_test

import (
	"strings"
	"testing"

	"zamqp/publisher"
)

// TestKilledWhileMoving: poison ends a process that has a hundred other messages in hand. The
// next processes are killed while those messages move to the quarantine. A message whose copy
// exists and whose ack is missing then exists twice. None is lost, and none but the poison is
// given up.
func TestKilledWhileMoving(t *testing.T) {
	for _, broker := range []string{"rabbitmq", "embedded", "inside"} {
		t.Run(broker, func(t *testing.T) {
			s, done := newBulk(t, broker)
			harmless := bodies(99, "harmless %d 10ms")
			s.publish(harmless...)
			s.publish("poison at once")
			done()
			p := s.start()
			<-p.Ended()
			for kill := range 4 {
				had := s.isolated()
				p := s.start()
				dead := false
				s.eventually("some move", func() bool {
					dead = s.count(s.queue+".dead") > 0
					return s.isolated() > had+10*kill || !p.Running() || dead
				})
				if dead {
					p.stop() // a kill while the dead letter is on its way may make two of it, too
					break
				}
				p.Kill()
			}
			// Each kill makes one more copy at most, and each copy may end three processes.
			s.loop(5*publisher.RetryCrashes, func() bool {
				return s.count(s.queue+".dead") > 0 && s.handled(harmless) && s.count(s.queue) == 0 && s.count(s.queue+".quarantine") == 0
			})
			t.Logf("%d moves, %d ends more, %d of %d harmless messages were handled twice", s.isolated(), s.deaths, twice(s.ledger("end")), len(harmless))
			if s.broker != nil {
				defer s.idle()()
			} else {
				s.empty(5 * publisher.RetryCrashes)
			}
			dead := s.drain(s.queue + ".dead")
			for _, d := range dead {
				if !strings.HasPrefix(string(d.Body), "poison") {
					t.Errorf("dead: %s %v", d.Body, d.Headers)
				}
			}
			if t.Logf("%d dead letters", len(dead)); len(dead) == 0 || len(dead) > 5 {
				t.Error("want one for each copy of the poison")
			}
		})
	}
}

// newBulk makes a site with a prefetch of 100 that is ready for publishes; done
// comes after them.
func newBulk(t *testing.T, broker string) (s *site, done func()) {
	t.Helper()
	if broker == "inside" {
		s = newInside(t, "bulk")
		s.prepareInside()
		return s, s.idle()
	}
	s = newSite(t, brokers[broker](t), "bulk", "data")
	s.connect()
	s.prepare()
	return s, func() {}
}
