package clockdoor_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// TestOnlyTheLeaderTicks: a process that is not the leader begins nothing and counts nothing. The
// record of the previous leader decides what comes first.
func TestOnlyTheLeaderTicks(t *testing.T) {
	for name, row := range map[string]struct {
		clock  publisher.Clock
		last   time.Duration // before now
		begun  bool
		want   []time.Duration // the ticks that were made within a minute, relative to now
		counts map[string]float64
	}{
		"nothing missed":        {last: 0, want: []time.Duration{-time.Minute}},
		"some missed":           {last: 5 * time.Minute, want: []time.Duration{0, -time.Minute}, counts: map[string]float64{"missed": 4, "ticks": 2}},
		"begun":                 {last: 0, begun: true, want: []time.Duration{0, -time.Minute}, counts: map[string]float64{"unfinished": 1}},
		"begun, dedupe":         {clock: publisher.Clock{Dedupe: true}, last: 0, begun: true, want: []time.Duration{-time.Minute}, counts: map[string]float64{"unfinished": 1}},
		"begun and missed":      {last: 2 * time.Minute, begun: true, want: []time.Duration{0, -time.Minute}, counts: map[string]float64{"unfinished": 1, "missed": 1}},
		"their clock is ahead":  {last: -2 * time.Minute, want: nil},
		"their clock was wrong": {last: -5 * time.Hour, want: []time.Duration{-time.Minute}},
		"at the start":          {clock: publisher.Clock{RunAtStart: true}, last: 0, want: []time.Duration{0, -time.Minute}},
		"at the start, missed":  {clock: publisher.Clock{RunAtStart: true}, last: 3 * time.Minute, want: []time.Duration{0, -time.Minute}, counts: map[string]float64{"missed": 2, "skipped": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			row.clock.Period, row.clock.Leader = time.Minute, "default"
			var got []time.Duration
			now := begin.Add(10 * time.Minute)
			h := serve(t, with(row.clock, func(r *publisher.Request) error {
				got = append(got, now.Sub(r.Scheduled()))
				return nil
			}))
			h.advance(10 * time.Minute)
			if state := h.door.Report()[0]; len(got) != 0 || state.State != "not the leader" || !strings.Contains(state.Detail, "c.clock") {
				t.Errorf("%v, %+v", got, state)
			}
			h.numbers(map[string]float64{"ticks": 0, "missed": 0, "skipped": 0, "late": 0})
			h.election.candidate.Elected(publisher.LastTick{At: now.Add(-row.last), Begun: row.begun})
			h.advance(time.Minute)
			if len(got) != len(row.want) {
				t.Fatalf("%v, want %v", got, row.want)
			}
			for i := range got {
				if got[i] != row.want[i] {
					t.Errorf("%v, want %v", got, row.want)
				}
			}
			h.numbers(row.counts)
			if h.metric("clock_leader") != 1 {
				t.Error("it is the leader")
			}
			h.election.candidate.Dismissed()
			had := len(got)
			if h.advance(time.Hour); len(got) != had || h.metric("clock_leader") != 0 || h.metric("clock_leader_changes_total") != 2 {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestClaimsThatAreNotGranted: no tick begins that was not granted. One that is claimed when the
// process is dismissed or drains does not begin later.
func TestClaimsThatAreNotGranted(t *testing.T) {
	var j job
	h := serve(t, with(publisher.Clock{Period: time.Minute, Leader: "default"}, j.handle))
	h.election.silent = true
	h.election.candidate.Elected(publisher.LastTick{At: h.now})
	h.advance(3 * time.Minute)
	h.numbers(map[string]float64{"ticks": 0, "skipped": 2})
	if !strings.Contains(h.log.String(), "the broker has not answered about an earlier one") {
		t.Error(h.log.String())
	}
	h.election.candidate.Dismissed()
	h.election.candidate.Elected(publisher.LastTick{At: h.now})
	h.advance(time.Minute)
	if at := h.election.claimed; !at.Equal(h.now) {
		t.Errorf("%s is claimed", at)
	}
	h.server.BeginDrain()
	h.election.candidate.Granted(h.election.claimed)
	if h.advance(time.Minute); len(j.begun) != 0 || len(h.election.over) != 1 || h.election.over[0] {
		t.Errorf("%v, over %v", j.begun, h.election.over)
	}
}

// TestNoAllocationsOfALeader: the door makes none for a tick that is claimed.
func TestNoAllocationsOfALeader(t *testing.T) {
	h := serve(t, with(publisher.Clock{Period: time.Minute, Leader: "default"}, func(*publisher.Request) error { return nil }))
	h.election.candidate.Elected(publisher.LastTick{At: h.now})
	h.advance(2 * time.Minute)
	const runs = 1000
	if n := testing.AllocsPerRun(runs, func() { h.advance(time.Minute) }); n != 0 && !debugging {
		t.Errorf("%v allocations", n)
	}
	if h.election.count < runs {
		t.Errorf("%v ticks", h.election.count)
	}
}
