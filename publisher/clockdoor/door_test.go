package clockdoor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// with is a registry with one clock.
func with(c publisher.Clock, h publisher.Handler) *publisher.Registry {
	g := publisher.NewRegistry()
	g.Every("c", c, h)
	return g
}

// TestTick: a tick is a call like the others, with the method and path of its clock.
func TestTick(t *testing.T) {
	var seen []string
	h := serve(t, with(publisher.Clock{Period: 10 * time.Minute}, func(r *publisher.Request) error {
		seen = append(seen, fmt.Sprint(r.Method(), " ", r.Path(), " ", r.Origin(), " ", r.Scheduled().UTC().Format("15:04:05")))
		r.Log().Info().Msg("hello")
		return r.Text(200, "nobody reads it")
	}))
	h.advance(9*time.Minute + 59*time.Second)
	if seen != nil {
		t.Fatalf("too early: %v", seen)
	}
	h.advance(20 * time.Minute)
	if want := "[CLOCK /c clock 06:10:00 CLOCK /c clock 06:20:00]"; fmt.Sprint(seen) != want {
		t.Errorf("%v, want %s", seen, want)
	}
	if !strings.Contains(h.log.String(), `"handler":"clock c","scheduled":"2026-11-29T06:20:00Z","message":"hello"`) {
		t.Error(h.log.String())
	}
	h.numbers(map[string]float64{"ticks": 2, "failures": 0, "missed": 0, "skipped": 0, "late": 0})
	if got := h.metric("clock_next_tick_timestamp_seconds"); int64(got) != begin.Add(30*time.Minute).Unix() {
		t.Errorf("next: %v", got)
	}
	if got := h.metric("clock_last_success_timestamp_seconds"); int64(got) != begin.Add(20*time.Minute).Unix() {
		t.Errorf("last success: %v", got)
	}
}

func TestCron(t *testing.T) {
	var seen []time.Time
	h := serve(t, with(publisher.Clock{Cron: "30 2 * * *", Zone: "Europe/Berlin"}, func(r *publisher.Request) error {
		seen = append(seen, r.Scheduled())
		return nil
	}))
	h.advance(72 * time.Hour)
	if len(seen) != 3 || seen[0].Format(time.RFC3339) != "2026-11-30T02:30:00+01:00" {
		t.Errorf("%v", seen)
	}
}

// TestFailure: a failure is logged once and counted, and the next tick is the next attempt.
func TestFailure(t *testing.T) {
	fail := errors.New("no luck")
	h := serve(t, with(publisher.Clock{Period: time.Minute}, func(r *publisher.Request) error {
		if fail == nil {
			return nil
		}
		return fail
	}))
	h.advance(time.Minute)
	if got := h.log.String(); strings.Count(got, "the call failed") != 1 || !strings.Contains(got, `"error":"no luck","call":"CLOCK /c","handler":"clock c","scheduled":`) {
		t.Error(got)
	}
	status := h.door.Report()[0]
	if status.Kind != "clock" || status.Name != "c" || !status.Ready || status.State != "failed" || status.Detail != "the last tick failed: no luck; next tick at 2026-11-29T06:02:00Z" {
		t.Errorf("%+v", status)
	}
	h.numbers(map[string]float64{"ticks": 1, "failures": 1})
	fail = nil
	h.advance(time.Minute)
	h.numbers(map[string]float64{"ticks": 2, "failures": 1})
	if status := h.door.Report()[0]; status.State != "waiting" || status.Detail != "next tick at 2026-11-29T06:03:00Z" {
		t.Errorf("%+v", status)
	}
}

// TestOverlap: while a call runs, further ticks are skipped, or one waits.
func TestOverlap(t *testing.T) {
	for _, row := range []struct {
		overlap        string
		skipped, begun int
		queued         string // minutes of the calls
	}{
		{publisher.OverlapSkip, 3, 1, "[1]"},
		{publisher.OverlapQueue, 2, 2, "[1 2]"},
	} {
		t.Run(row.overlap, func(t *testing.T) {
			var j job
			h := serve(t, with(publisher.Clock{Period: time.Minute, Overlap: row.overlap}, j.handle))
			h.advance(4 * time.Minute)
			if len(j.begun) != 1 || h.metric("clock_running") != 1 || h.door.Report()[0].State != "running" {
				t.Fatalf("%d calls", len(j.begun))
			}
			h.numbers(map[string]float64{"skipped": float64(row.skipped), "missed": 0})
			if n := strings.Count(h.log.String(), "has skipped ticks"); n == 0 || n > row.skipped {
				t.Errorf("%d lines of %d: %s", n, row.skipped, h.log.String())
			}
			j.end(h, nil)
			var minutes []int
			for _, at := range j.begun {
				minutes = append(minutes, at.Minute())
			}
			if fmt.Sprint(minutes) != row.queued {
				t.Errorf("%v", minutes)
			}
			for len(j.ends) > 0 {
				j.end(h, nil)
			}
			h.advance(time.Minute)
			if n := len(j.begun); n != row.begun+1 {
				t.Errorf("%d calls after the next minute", n)
			}
		})
	}
}

// TestMissed: ticks whose time passed while the loop was held are counted; the last of
// them runs.
func TestMissed(t *testing.T) {
	for _, c := range []publisher.Clock{{Period: time.Minute}, {Cron: "* * * * *", Zone: "UTC"}} {
		var seen []int
		h := serve(t, with(c, func(r *publisher.Request) error {
			seen = append(seen, r.Scheduled().Minute())
			return nil
		}))
		h.advance(time.Minute)
		h.stall(4*time.Minute + time.Second)
		h.advance(time.Minute)
		if fmt.Sprint(seen) != "[1 5 6]" {
			t.Errorf("%v", seen)
		}
		h.numbers(map[string]float64{"ticks": 3, "missed": 3, "late": 1})
		if !strings.Contains(h.log.String(), `"clock":"c","ticks":3,"message":"a clock has missed ticks`) {
			t.Error(h.log.String())
		}
	}
}

// TestSuspended: after more missed ticks than are counted one by one, the clock goes on.
func TestSuspended(t *testing.T) {
	n := 0
	h := serve(t, with(publisher.Clock{Cron: "* * * * *"}, func(*publisher.Request) error { n++; return nil }))
	h.stall(30 * 24 * time.Hour)
	if h.advance(time.Minute); n != 2 {
		t.Errorf("%d ticks", n)
	}
	h.numbers(map[string]float64{"missed": 10_000})
}

// TestSetBack: setting the machine's clock back does not stop clocks that follow the time
// that passes.
func TestSetBack(t *testing.T) {
	var seen []string
	g := publisher.NewRegistry()
	add := func(name string, c publisher.Clock) {
		g.Every(name, c, func(*publisher.Request) error { seen = append(seen, name); return nil })
	}
	add("period", publisher.Clock{Period: time.Hour})
	add("minutes", publisher.Clock{Cron: "0 * * * *", Zone: "UTC"})
	add("daily", publisher.Clock{Cron: "0 7 * * *", Zone: "UTC"})
	h := serve(t, g)
	h.advance(time.Hour + time.Minute)
	check := func(want string) {
		t.Helper()
		if fmt.Sprint(seen) != want {
			t.Errorf("%v, want %s", seen, want)
		}
		seen = nil
	}
	check("[daily minutes period]")
	h.set(-30 * time.Minute)
	h.advance(30 * time.Minute)
	check("[minutes period]") // not once more on the same day
	h.set(-4 * time.Hour)
	h.advance(4 * time.Hour)
	check("[minutes period minutes period minutes period daily minutes period]")
	if n := strings.Count(h.log.String(), "set back"); n != 2 {
		t.Errorf("%d lines: %s", n, h.log.String())
	}
}

func TestRunAtStart(t *testing.T) {
	var seen []time.Time
	h := serve(t, with(publisher.Clock{Period: time.Hour, RunAtStart: true}, func(r *publisher.Request) error {
		seen = append(seen, r.Scheduled())
		return nil
	}))
	if len(seen) != 1 || !seen[0].Equal(begin) {
		t.Fatalf("%v", seen)
	}
	if h.advance(time.Hour); len(seen) != 2 {
		t.Errorf("%v", seen)
	}
}

// TestTimeout: the timeout ends the waits of a call, and replaces server.call_timeout.
func TestTimeout(t *testing.T) {
	var j job
	h := serve(t, with(publisher.Clock{Period: time.Hour, Timeout: 10 * time.Minute}, j.handle))
	h.advance(time.Hour + 9*time.Minute)
	h.server.CancelOlder(h.now, errors.New("call_timeout"))
	if h.settle(); h.server.Live() != 1 {
		t.Fatalf("call_timeout has ended it: %s", h.log.String())
	}
	if h.advance(time.Minute); h.server.Live() != 0 || !strings.Contains(h.log.String(), "clock.c.timeout (10m0s): "+context.DeadlineExceeded.Error()) {
		t.Error(h.log.String())
	}
	h.numbers(map[string]float64{"timeouts": 1, "failures": 1})
	h.advance(time.Hour)
	h.numbers(map[string]float64{"ticks": 2})

	var without job
	h = serve(t, with(publisher.Clock{Period: time.Hour}, without.handle))
	h.advance(time.Hour + time.Minute)
	h.server.CancelOlder(h.now, errors.New("call_timeout"))
	if h.settle(); h.server.Live() != 0 {
		t.Error("call_timeout has not ended a call without a timeout of its own")
	}
}

// TestDrain: no tick begins, the running call is waited for, and a tick that waits for it is
// dropped.
func TestDrain(t *testing.T) {
	var j job
	h := serve(t, with(publisher.Clock{Period: time.Minute, Overlap: publisher.OverlapQueue}, j.handle))
	h.advance(2 * time.Minute)
	h.server.BeginDrain()
	drained := false
	h.server.Drain(func() { drained = true })
	if h.advance(time.Minute); drained {
		t.Fatal("it did not wait for the call")
	}
	j.end(h, nil)
	h.advance(time.Hour)
	if !drained || len(j.begun) != 1 || !strings.Contains(h.log.String(), "is dropped: the server drains") {
		t.Errorf("drained %v, %d calls: %s", drained, len(j.begun), h.log.String())
	}
	h.numbers(map[string]float64{"ticks": 1, "skipped": 1})
}

// TestJitter: each tick is delayed by less than the jitter, and not always by the same time.
func TestJitter(t *testing.T) {
	var h *host
	delays := map[time.Duration]bool{}
	h = serve(t, with(publisher.Clock{Period: time.Minute, Jitter: 30 * time.Second}, func(r *publisher.Request) error {
		delay := h.now.Sub(r.Scheduled())
		if delay < 0 || delay >= 30*time.Second || r.Scheduled().Second() != 0 {
			t.Errorf("%s late", delay)
		}
		delays[delay] = true
		return nil
	}))
	h.advance(20*time.Minute + 59*time.Second)
	if len(delays) < 10 {
		t.Errorf("%v", delays)
	}
	h.numbers(map[string]float64{"ticks": 20, "late": 0, "missed": 0})
}

// TestManyClocks: all clocks that are due at the same time tick, over some turns of the loop.
func TestManyClocks(t *testing.T) {
	g := publisher.NewRegistry()
	n := 0
	for i := range 100 {
		g.Every(fmt.Sprint("c", i), publisher.Clock{Period: time.Minute}, func(*publisher.Request) error { n++; return nil })
	}
	g.Every("off", publisher.Clock{Period: time.Minute, Disabled: true}, func(*publisher.Request) error { t.Error("a disabled clock ticks"); return nil })
	h := serve(t, g)
	h.advance(3 * time.Minute)
	if n != 300 {
		t.Errorf("%d ticks", n)
	}
	if len(h.door.Report()) != 100 {
		t.Errorf("%d parts", len(h.door.Report()))
	}
}

// TestNoAllocations: a tick whose handler does nothing.
func TestNoAllocations(t *testing.T) {
	for _, c := range []publisher.Clock{{Period: time.Minute}, {Cron: "* * * * *", Zone: "Europe/Berlin"}, {Period: time.Minute, Jitter: time.Second, Timeout: time.Second}} {
		h := serve(t, with(c, func(*publisher.Request) error { return nil }))
		h.advance(time.Minute)
		before := h.metric("clock_ticks_total")
		const runs = 1000
		if n := testing.AllocsPerRun(runs, func() { h.advance(time.Minute) }); n != 0 && !debugging {
			t.Errorf("%v: %v allocations", c, n)
		}
		if ticks := h.metric("clock_ticks_total") - before; ticks < runs-1 {
			t.Errorf("%v ticks", ticks)
		}
	}
}
