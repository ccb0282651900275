package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// ticking is what the clock e2e-tick does; nil is nothing.
var ticking atomic.Pointer[publisher.Handler]

func init() {
	publisher.Produce("e2e-ticks", publisher.Producer{Queue: "e2e-ticks", Codec: "text"})
	publisher.Every("e2e-tick", publisher.Clock{Period: 100 * time.Millisecond, Disabled: true}, func(r *publisher.Request) error {
		if h := ticking.Load(); h != nil {
			return (*h)(r)
		}
		return nil
	})
	publisher.Every("e2e-idle", publisher.Clock{Cron: "0 0 1 1 *"}, func(*publisher.Request) error { return nil })
}

// tick sets the handler for one test.
func tick(t *testing.T, h publisher.Handler) {
	ticking.Store(&h)
	t.Cleanup(func() { ticking.Store(nil) })
}

const (
	enabled  = "clock.e2e-tick.enabled=true"
	thisTick = "clock=e2e-tick"
)

// TestTicksPublish: each tick publishes when it commits, and nothing when it fails.
func TestTicksPublish(t *testing.T) { everywhere(t, ticksPublish) }

func ticksPublish(t *testing.T, at broker) {
	id := unique(t)
	n := 0
	tick(t, func(r *publisher.Request) error {
		n++
		r.Publish("e2e-ticks", fmt.Sprint(id, " ", n))
		if n%2 == 0 {
			return errors.New("an even tick")
		}
		return nil
	})
	s := start(t, at, enabled)
	ch := s.channel()
	for _, want := range []int{1, 3, 5} {
		if got := s.takeTick(ch, id); got != fmt.Sprint(id, " ", want) {
			t.Errorf("%s, want %d", got, want)
		}
	}
	wait.Until(t, "failures are counted", func() bool { return s.metric("clock_failures_total", thisTick) >= 2 })
	if !s.failedWith(`"error":"an even tick","call":"CLOCK /e2e-tick","handler":"clock e2e-tick","scheduled":`) {
		t.Error("the log does not have the failure")
	}
	status, body := s.get("/readyz")
	var report struct{ Parts []publisher.Status }
	if err := json.Unmarshal([]byte(body), &report); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	shown := ""
	for _, part := range report.Parts {
		if part.Kind == "clock" {
			shown += fmt.Sprint(part.Name, " ", part.Ready, " ", strings.Contains(part.Detail, "next tick at "), "; ")
		}
	}
	if shown != "e2e-idle true true; e2e-tick true true; " {
		t.Errorf("%s", body)
	}
}

// takeTick gets the next message of a test's ticks: earlier tests leave some.
func (s *server) takeTick(ch *amqp.Channel, id string) string {
	s.t.Helper()
	for {
		if body := string(s.take(ch, "e2e-ticks").Body); strings.HasPrefix(body, id) {
			return body
		}
	}
}

// TestDrainDuringATick: SIGTERM waits for the tick that runs and for its publishes, and
// no other one begins.
func TestDrainDuringATick(t *testing.T) { everywhere(t, drainDuringATick) }

func drainDuringATick(t *testing.T, at broker) {
	id := unique(t)
	var begun atomic.Int32
	release := make(chan struct{})
	tick(t, func(r *publisher.Request) error {
		begun.Add(1)
		if err := r.Offload(func() error { <-release; return nil }); err != nil {
			return err
		}
		r.Publish("e2e-ticks", id)
		return nil
	})
	// A stream does not take messages back, and it has messages of other tests.
	s := start(t, at, enabled, "broker.data_dir="+t.TempDir(), "consumer.e2e-stream.enabled=false")
	wait.Until(t, "a tick runs", func() bool { return begun.Load() == 1 })
	s.stop()
	s.log.Await(t, "draining")
	close(release)
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if begun.Load() != 1 {
		t.Errorf("%d ticks", begun.Load())
	}
	ticking.Store(nil)
	if s.amqp == s.own { // its broker has ended with it
		s = start(t, embedded, s.options...)
	}
	if got := s.takeTick(s.channel(), id); got != id {
		t.Errorf("%s", got)
	}
}

// TestTicksOverlap: a tick does not begin while the one before runs.
func TestTicksOverlap(t *testing.T) {
	var running, most atomic.Int32
	tick(t, func(r *publisher.Request) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return r.Sleep(250 * time.Millisecond)
	})
	s := start(t, embedded, enabled)
	wait.Until(t, "ticks are skipped", func() bool {
		return s.metric("clock_skipped_total", thisTick) >= 2 && s.metric("clock_ticks_total", thisTick) >= 3
	})
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
}

// TestTicksMissed: a handler that holds the loop costs ticks, which are counted.
func TestTicksMissed(t *testing.T) {
	s := start(t, embedded, enabled, "loop.stall_warning=off")
	wait.Until(t, "ticks are missed", func() bool {
		tick(t, func(*publisher.Request) error { time.Sleep(350 * time.Millisecond); return nil }) // it holds the loop
		return s.metric("clock_missed_total", thisTick) >= 1
	})
}
