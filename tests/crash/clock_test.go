package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/process"
)

// serveClock registers a clock whose ticks publish two messages each, in one
// transaction, and take most of its period.
func serveClock(ledger *os.File) {
	publisher.Produce("ticks", publisher.Producer{Queue: "crash-ticks", Codec: "text"})
	publisher.Every("tick", publisher.Clock{Period: 100 * time.Millisecond, Disabled: true}, func(r *publisher.Request) error {
		id := fmt.Sprintf("%d-%d", os.Getpid(), r.Scheduled().UnixMilli())
		fmt.Fprintln(ledger, "begin", id)
		r.Publish("ticks", id+" one")
		if err := r.Sleep(70 * time.Millisecond); err != nil {
			return err
		}
		r.Publish("ticks", id+" two")
		fmt.Fprintln(ledger, "end", id)
		return nil
	})
}

// newClockSite is a site with that clock alone.
func newClockSite(t *testing.T, url string) *site {
	s := newSite(t, url, "usual", "")
	s.queue = strings.Replace(s.queue, "usual", "ticks", 1)
	s.options = append(s.options, "consumer.usual.enabled=false", "clock.tick.enabled=true", "producer.ticks.queue="+s.queue)
	return s
}

// TestTicksAcrossEnds: processes are killed during ticks, and one is stopped. A tick that has
// not returned has published nothing, and one that is over has published everything, once.
// The stop waits for the running tick.
func TestTicksAcrossEnds(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newClockSite(t, url(t))
			s.connect()
			for end := range 5 {
				p, before := s.start(), len(s.ledger("end"))
				s.eventually("some ticks are over, and one runs", func() bool {
					begun, ended := len(s.ledger("begin")), len(s.ledger("end"))
					return ended >= before+2 && begun > ended
				})
				if end < 4 {
					p.Kill()
				} else if err := p.Stop(); err != nil {
					t.Error(err)
				}
			}
			copies := map[string]int{}
			for _, d := range s.drain(s.queue) {
				copies[string(d.Body)]++
			}
			s.checkTicks(copies)
		})
	}
}

// checkTicks compares what was published with what the ticks have done.
func (s *site) checkTicks(copies map[string]int) {
	s.t.Helper()
	ended := s.ledger("end")
	begun := s.begun()
	for i, id := range begun {
		pid, _, _ := strings.Cut(id, "-")
		killed := i+1 < len(begun) && !strings.HasPrefix(begun[i+1], pid) // it was the last of its process
		for _, part := range []string{" one", " two"} {
			switch n := copies[id+part]; {
			case ended[id] == 0 && n != 0:
				s.t.Errorf("%s has not returned, and %d of%s are published", id, n, part)
			case ended[id] != 0 && !killed && n != 1, n > 1:
				s.t.Errorf("%s is over, and %d of%s are published", id, n, part)
			}
		}
		if ended[id] == 0 && !killed {
			s.t.Errorf("%s was cut off", id)
		}
	}
}

// TestTicksOfASuspendedProcess: it misses ticks, says how many, and goes on.
func TestTicksOfASuspendedProcess(t *testing.T) {
	s := newClockSite(t, "embedded")
	s.options = append(s.options, "broker.listen=")
	p := s.start()
	s.eventually("a tick is over", func() bool { return len(s.ledger("end")) > 0 })
	s.eventually("ticks are missed", func() bool {
		process.Freeze(t, p.Pid())
		time.Sleep(500 * time.Millisecond)
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(s.logs(), "a clock has missed ticks")
	})
	before := len(s.ledger("end"))
	s.eventually("it goes on", func() bool { return len(s.ledger("end")) > before })
	p.stop()
}

// logs is what the processes of the site have logged.
func (s *site) logs() string {
	files, _ := filepath.Glob(filepath.Join(s.dir, "log-*"))
	var all strings.Builder
	for _, file := range files {
		b, _ := os.ReadFile(file)
		all.Write(b)
	}
	return all.String()
}
