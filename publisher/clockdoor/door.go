package clockdoor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
)

// A Timer calls a function on the loop's thread, after the duration d. Both methods report
// whether the function was still to be called.
type Timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

// A Door makes the calls of a server's clocks. Loop thread only.
type Door struct {
	server *publisher.Server
	log    zerolog.Logger
	clocks []*clock // the enabled clocks, sorted by name
	timer  Timer    // nil before Start
	cursor int      // the clock to look at first
	seen   time.Time
}

// New returns a door for the clocks, which must be declared in the server's registry. They do
// not tick before Start.
func New(server *publisher.Server, clocks map[string]publisher.Clock, log zerolog.Logger) (*Door, error) {
	d := &Door{server: server, log: log}
	for _, name := range slices.Sorted(maps.Keys(clocks)) {
		declared := clocks[name]
		if declared.Disabled {
			continue
		}
		if key, err := declared.Check(); err != nil {
			return nil, fmt.Errorf("clock.%s.%s: %w", name, key, err)
		}
		times, err := declared.Schedule()
		if err != nil {
			return nil, fmt.Errorf("clock.%s: %w", name, err)
		}
		d.clocks = append(d.clocks, &clock{door: d, name: name, declared: declared, times: times, source: server.ClockSource(name, declared)})
	}
	if len(d.clocks) > 0 {
		server.AddReporter(d)
		server.AddMeter(d)
	}
	return d, nil
}

// Elect gives an election to each clock that has a leader. Call it before Start.
func (d *Door) Elect(election func(clock, connection string) (publisher.Election, error)) error {
	for _, c := range d.clocks {
		if c.declared.Leader == "" {
			continue
		}
		var err error
		if c.election, err = election(c.name, c.declared.Leader); err != nil {
			return err
		}
	}
	return nil
}

// Start lets the clocks tick. timer makes the one timer that the door needs; the timer calls
// turn.
func (d *Door) Start(timer func(turn func()) Timer) {
	if len(d.clocks) == 0 {
		return
	}
	d.seen = d.server.Now()
	d.timer = timer(d.turn)
	for _, c := range d.clocks {
		c.atStart = c.declared.RunAtStart
		if c.election != nil {
			c.election.Stand(c)
			continue
		}
		c.leads = true
		c.plan(d.seen)
	}
	d.arm()
}

// Stop ends the ticks. Calls that run go on. After Start the clocks tick again.
func (d *Door) Stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// lookAgain is the longest wait for the next tick. The timer does not notice that the machine
// was suspended, or that its clock was set, so a tick may be late by that much.
const lookAgain = 30 * time.Second

// turnMax is how many clocks one turn of the loop handles. The others follow in the next
// turns.
const turnMax = 16

// turn makes the ticks that are due, and ends calls that have taken too long.
func (d *Door) turn() {
	now := d.server.Now()
	d.look(now)
	for range min(turnMax, len(d.clocks)) {
		c := d.clocks[d.cursor]
		if d.cursor++; d.cursor == len(d.clocks) {
			d.cursor = 0
		}
		c.expire(now)
		c.turn(now)
	}
	d.arm()
}

// setBackMax is how far the machine's clock may be set back before clocks with a time of day
// tick again at times at which they have ticked already.
const setBackMax = 3 * time.Hour

// look checks whether the machine's clock was set back.
func (d *Door) look(now time.Time) {
	wall := now.Round(0)
	back := d.seen.Round(0).Sub(wall)
	d.seen = now
	if back < time.Second {
		return
	}
	d.log.Warn().Dur("by", back).Msg("the machine's clock was set back: clocks follow the new time")
	for _, c := range d.clocks {
		if c.times.Steady() || back >= setBackMax {
			c.plan(now)
		}
	}
}

// arm sets the timer for whatever comes first.
func (d *Door) arm() {
	if d.timer == nil {
		return
	}
	now := d.server.Now()
	wait := lookAgain
	for _, c := range d.clocks {
		wait = min(wait, c.wait(now))
	}
	d.timer.Reset(max(0, wait))
}

// Report returns the state of the clocks. A clock whose calls fail counts as ready: the
// server can do its work, and the next tick is another attempt.
func (d *Door) Report() []publisher.Status {
	all := make([]publisher.Status, 0, len(d.clocks))
	for _, c := range d.clocks {
		s := publisher.Status{Kind: "clock", Name: c.name, Ready: true}
		s.State, s.Detail = c.state()
		all = append(all, s)
	}
	return all
}

// Measure appends the metrics of the clocks.
func (d *Door) Measure(dst []publisher.Metric) []publisher.Metric {
	for _, c := range d.clocks {
		dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "clock", Value: c.name}},
			publisher.Metric{Name: "clock_ticks_total", Help: "Ticks that became calls.", Value: float64(c.ticks)},
			publisher.Metric{Name: "clock_failures_total", Help: "Calls of the clock that ended in an error.", Value: float64(c.failures)},
			publisher.Metric{Name: "clock_missed_total", Help: "Times of the schedule that passed without a tick: the loop stalled, the process was suspended, the machine's clock was set, no process was the leader.", Value: float64(c.missed)},
			publisher.Metric{Name: "clock_skipped_total", Help: "Ticks dropped because the call of an earlier one still ran.", Value: float64(c.skipped)},
			publisher.Metric{Name: "clock_late_total", Help: "Ticks that began more than a second after their time.", Value: float64(c.late)},
			publisher.Metric{Name: "clock_timeouts_total", Help: "Calls of the clock whose waits were ended by its timeout.", Value: float64(c.timeouts)},
			publisher.Metric{Name: "clock_leader", Help: "1 while this process makes the ticks of the clock: always, unless the clock has a leader.", Value: publisher.Bit(c.leads)},
			publisher.Metric{Name: "clock_leader_changes_total", Help: "How often this process has become the leader of the clock, or was it no longer.", Value: float64(c.changes)},
			publisher.Metric{Name: "clock_unfinished_total", Help: "Ticks that the leader before had begun, and perhaps not ended. With dedupe they are not repeated.", Value: float64(c.unfinished)},
			publisher.Metric{Name: "clock_running", Help: "1 while a call of the clock runs.", Value: publisher.Bit(c.call != nil)},
			publisher.Metric{Name: "clock_last_duration_seconds", Help: "How long the last call of the clock took.", Value: c.took.Seconds()},
			publisher.Metric{Name: "clock_last_success_timestamp_seconds", Help: "When a call of the clock last succeeded, in Unix time; 0 is never.", Value: unix(c.succeeded)},
			publisher.Metric{Name: "clock_next_tick_timestamp_seconds", Help: "When the clock ticks next, in Unix time.", Value: unix(c.due)})
	}
	return dst
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
