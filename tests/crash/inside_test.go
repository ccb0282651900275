package crash_test

import (
	"testing"

	"zamqp/publisher"
	"zamqp/tests/kit/process"
)

// newInside makes a site whose broker runs in the process that its messages end.
func newInside(t *testing.T, consumer string) *site {
	t.Helper()
	address := process.FreeAddress(t)
	s := newSite(t, "amqp://guest:guest@"+address+"/", consumer, "data")
	s.broker = []string{"broker.listen=" + address, "broker.data_dir=broker"}
	s.options = append(append(s.options, "connection.default.url=embedded"), s.broker...)
	return s
}

// idle runs the broker without the server; done kills it.
func (s *site) idle() (done func()) {
	s.t.Helper()
	p := s.run("broker", s.broker)
	s.connect()
	return p.Kill
}

// prepareInside makes the queues.
func (s *site) prepareInside() {
	s.t.Helper()
	p := s.start()
	s.connect()
	s.eventually("the queues", func() bool { return s.count(s.queue) == 0 && s.consumers() > 0 })
	p.Kill()
}

// TestPoisonInside: the broker ends with each process that the poison ends.
func TestPoisonInside(t *testing.T) {
	for _, consumer := range []string{"usual", "quorum", "lane"} {
		t.Run(consumer, func(t *testing.T) {
			s := newInside(t, consumer)
			s.prepareInside()
			done := s.idle()
			harmless := bodies(30, "harmless %d 30ms")
			s.publish(harmless[:10]...)
			s.publish("poison at once")
			s.publish(harmless[10:]...)
			done()
			s.loop(publisher.RetryCrashes, func() bool { return s.count(s.queue+".dead") > 0 && s.handled(harmless) })
			if s.deaths != publisher.RetryCrashes {
				t.Errorf("%d ends of the process, want %d", s.deaths, publisher.RetryCrashes)
			}
			p := s.start()
			s.eventually("empty queues", func() bool { return s.count(s.queue) == 0 && s.count(s.queue+".quarantine") <= 0 })
			p.stop()
			defer s.idle()()
			for _, queue := range []string{s.queue, s.queue + ".quarantine"} {
				if n := s.count(queue); n > 0 {
					t.Errorf("%d messages are left in %s", n, queue)
				}
			}
			s.wantDead(1)
		})
	}
}
