package crash_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

// brokers are those that outlive the server.
var brokers = map[string]func(t *testing.T) string{
	"rabbitmq": func(t *testing.T) string { return rabbitmq.Start(t) },
	"embedded": func(t *testing.T) string { return embedded.New(t, embedded.Options{DataDir: t.TempDir()}).URL },
}

// TestPoison: a message that ends each process that handles it is given up, once, after
// retry.crashes ends, and the messages in hand beside it are handled.
func TestPoison(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			at := url(t)
			for _, consumer := range []string{"usual", "quorum", "lane", "place"} {
				t.Run(consumer, func(t *testing.T) { testPoison(t, newSite(t, at, consumer, "data"), 3) })
			}
			// A container without a folder that is kept.
			for _, consumer := range []string{"usual", "quorum"} {
				t.Run(consumer+" without data", func(t *testing.T) { testPoison(t, newSite(t, at, consumer, ""), 3) })
			}
		})
	}
}

// TestPoisonOfOneSite: in a process with two consuming servers, such a message is given up by
// the instance of its site.
func TestPoisonOfOneSite(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newSite(t, url(t), "usual", "data")
			s.options = append(s.options, "consumer.usual.queue="+s.queue+"-${site_id}", "consuming_server.one.site_id=eu", "consuming_server.two.site_id=us",
				"consuming_server.one.consumers=usual", "consuming_server.two.consumers=usual")
			s.queue += "-eu"
			testPoison(t, s, 3)
		})
	}
}

// TestPoisonThatHoldsTheThread: loop.stall_limit ends the processes, and the message
// has the same future.
func TestPoisonThatHoldsTheThread(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newSite(t, url(t), "usual", "data")
			s.options = append(s.options, "loop.stall_limit=1s")
			testPoisonOf(t, s, "poison forever 20ms", 3)
		})
	}
}

func testPoison(t *testing.T, s *site, most int) { testPoisonOf(t, s, "poison 20ms", most) }

func testPoisonOf(t *testing.T, s *site, poison string, most int) {
	s.connect()
	s.prepare()
	harmless := bodies(30, "harmless %d 30ms")
	s.publish(harmless[:10]...)
	s.publish(poison)
	s.publish(harmless[10:]...)
	dead := s.queue + ".dead"
	s.loop(most, func() bool { return s.count(dead) > 0 && s.handled(harmless) })
	if s.deaths != most {
		t.Errorf("%d ends of the process, want %d", s.deaths, most)
	}
	s.empty(0)
	s.wantDead(1)
}

// prepare makes the queues.
func (s *site) prepare() {
	s.t.Helper()
	p := s.start()
	s.eventually("the queues", func() bool { return s.count(s.queue) == 0 && s.consumers() > 0 })
	p.Kill()
	s.eventually("the end of the consumer", func() bool { return s.consumers() == 0 })
}

func (s *site) consumers() int {
	q, err := s.ask(s.queue)
	if err != nil {
		return -1
	}
	return q.Consumers
}

// wantDead checks the dead letters: one for each message that should be there.
func (s *site) wantDead(poisons int) {
	s.t.Helper()
	all := s.drain(s.queue + ".dead")
	seen := map[string]bool{}
	for _, d := range all {
		if !strings.HasPrefix(string(d.Body), "poison") || d.Headers[publisher.TraceReason] != publisher.ReasonCrashed || seen[d.MessageId] {
			s.t.Errorf("dead: %s %v", d.Body, d.Headers)
		}
		if n, _ := d.Headers[publisher.TraceCrashes].(int64); n < publisher.RetryCrashes {
			s.t.Errorf("dead: %s %v", d.Body, d.Headers)
		}
		seen[d.MessageId] = true
	}
	if len(all) != poisons {
		s.t.Errorf("%d dead letters, want %d", len(all), poisons)
	}
}

// empty lets a process work until nothing is left in the queue and its quarantine. At most
// ends processes may end by poison in that time. A count leaves out the messages that a
// process has in hand: if it is stopped before the handler begins, they are back in the
// queue, and the next process continues with them.
func (s *site) empty(ends int) {
	s.t.Helper()
	left := func() int { return max(0, s.count(s.queue)) + max(0, s.count(s.queue+".quarantine")) }
	for most, until := s.deaths+ends, time.Now().Add(patience); ; {
		s.loop(most, func() bool { return left() == 0 })
		n := left()
		if n == 0 {
			return
		}
		if time.Now().After(until) {
			s.t.Fatalf("%d messages are left in %s and its quarantine", n, s.queue)
		}
	}
}

// TestPoisonUnderLoad: others come all the time, and three messages are poison.
func TestPoisonUnderLoad(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newSite(t, url(t), "usual", "data")
			s.connect()
			s.prepare()
			var harmless []string
			n := 0
			s.publish("poison 0 at once")
			s.loop(9, func() bool {
				if n < 2000 {
					next := bodies(20, fmt.Sprintf("harmless %d-%%d 1ms", n))
					n += len(next)
					harmless = append(harmless, next...)
					s.publish(next...)
					if n == 400 || n == 800 {
						s.publish(fmt.Sprintf("poison %d at once", n))
					}
				}
				return n >= 2000 && s.count(s.queue+".dead") == 3 && s.handled(harmless)
			})
			t.Logf("%d ends, %d of %d harmless messages were begun twice", s.deaths, twice(s.ledger("begin")), len(harmless))
			s.empty(0)
			s.wantDead(3)
		})
	}
}
