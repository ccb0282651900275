package interop_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// TestOneServerTicks: only one of two servers makes the ticks of a clock. When it is killed,
// stops cleanly, or hangs for longer than the heartbeat, the other one makes them. No tick is
// left out, and with dedupe none is made twice.
func TestOneServerTicks(t *testing.T) {
	apart(t, func(t *testing.T, n node) {
		clocks := []string{"deduped"}
		if os.Getenv("ZAMQP_TEST_LONG") != "" {
			clocks = append(clocks, "led")
		}
		for _, clock := range clocks {
			t.Run(clock, func(t *testing.T) { oneServerTicks(t, n, clock) })
		}
	})
}

func oneServerTicks(t *testing.T, n node, clock string) {
	seen := watchTicks(t, n.url())
	launched := func() *server {
		s := startOutsider(t, n.url(), append(impatient, "clock."+clock+".enabled=true", "connection.default.heartbeat=1s", "consumer.alone.enabled=false")...)
		return s
	}
	a := launched()
	seen.await(t, a, 3)
	b := launched()
	seen.await(t, a, 3)

	a.Kill()
	seen.await(t, b, 3)
	a = launched()
	b.signal(syscall.SIGTERM)
	b.wait()
	seen.await(t, a, 3)
	if !strings.Contains(b.log.String(), `"reason":"the server drains"`) {
		t.Error("the log does not say that it hands over")
	}

	b = launched()
	process.Freeze(t, a.Pid())
	seen.await(t, b, 3)
	if err := a.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.log.Await(t, "this process is no longer the leader of a clock")
	seen.await(t, b, 3)
	if state, detail := stateOfClock(t, a, clock); state != "not the leader" || !strings.Contains(detail, "by the queue "+clock+".clock") {
		t.Errorf("%s: %s", state, detail)
	}
	if state, detail := stateOfClock(t, b, clock); !strings.Contains(detail, "this process is the leader since") {
		t.Errorf("%s: %s", state, detail)
	}
	a.stop()
	b.stop()
	seen.check(t, clock == "deduped")
}

// stateOfClock is what /readyz says of the clock.
func stateOfClock(t *testing.T, s *server, clock string) (state, detail string) {
	t.Helper()
	var report struct {
		Parts []struct{ Kind, Name, State, Detail string }
	}
	if err := s.json("/readyz", &report); err != nil {
		t.Fatal(err)
	}
	for _, part := range report.Parts {
		if part.Kind == "clock" && part.Name == clock {
			return part.State, part.Detail
		}
	}
	return "", ""
}

// A tickWatch is what a client has got of the ticks.
type tickWatch struct {
	mu    sync.Mutex
	order []string         // who has made them, one after the other
	count map[int64]int    // by scheduled time
	by    map[int64]string // who was the first
}

func watchTicks(t *testing.T, url string) *tickWatch {
	t.Helper()
	ch := amqpclient.Channel(t, url)
	q, err := ch.QueueDeclare("clock-ticks", true, false, false, false, nil)
	if err == nil {
		_, err = ch.QueuePurge(q.Name, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &tickWatch{count: map[int64]int{}, by: map[int64]string{}}
	go func() {
		for d := range deliveries {
			var by string
			var at int64
			_, _ = fmt.Sscan(string(d.Body), &by, &at)
			w.mu.Lock()
			w.order = append(w.order, by)
			if w.count[at]++; w.count[at] == 1 {
				w.by[at] = by
			}
			w.mu.Unlock()
		}
	}()
	return w
}

// await waits until the last n ticks are those of one server.
func (w *tickWatch) await(t *testing.T, s *server, n int) {
	t.Helper()
	w.mu.Lock()
	had := len(w.order)
	w.mu.Unlock()
	pid := fmt.Sprint(s.Pid())
	wait.Until(t, "a server ticks, and nobody else", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.order) < had+n {
			return false
		}
		for _, by := range w.order[len(w.order)-n:] {
			if by != pid {
				return false
			}
		}
		return true
	})
}

// check compares what was ticked with the schedule. A tick at a change of the leader may be
// made twice, but not with dedupe.
func (w *tickWatch) check(t *testing.T, dedupe bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	twice := 0
	for at, n := range w.count {
		if n > 2 || n > 1 && dedupe {
			t.Errorf("%d ticks of %d", n, at)
		}
		twice += n - 1
	}
	if twice > 3 {
		t.Errorf("%d ticks were made twice, in three changes", twice)
	}
	t.Logf("%d ticks, %d of them twice", len(w.count), twice)
}
