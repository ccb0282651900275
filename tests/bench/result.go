package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A result is all samples of one workload, by contestant and round.
type result struct {
	workload
	samples [][]sample
}

func newResult(w workload) *result {
	return &result{workload: w, samples: make([][]sample, len(w.contestants))}
}

// A row holds one contestant's medians.
type row struct {
	name      string
	rate      float64 // units a second
	p50       float64 // microseconds, of a tail workload
	max       float64 // microseconds of the longest unit of all rounds, of a tail workload
	cost      float64 // CPU microseconds a unit, octets a connection, or microseconds of the slowest hundredth
	low, high float64 // of cost, over the rounds
	ratio     float64 // cost divided by ours, the median of the rounds; NaN without ours
	faster    float64 // our rate divided by this one's, likewise
}

// rows returns the contestants, the cheapest first.
func (r *result) rows() []row {
	our := slices.IndexFunc(r.contestants, func(c contestant) bool { return c.name == ours })
	var rows []row
	for i, c := range r.contestants {
		var rates, costs, ratios, faster, middles []float64
		var longest time.Duration
		for round, s := range r.samples[i] {
			cost := s.cost(r.memory)
			rates = append(rates, s.rate())
			costs = append(costs, cost)
			middles = append(middles, float64(s.p50.Microseconds()))
			longest = max(longest, s.max)
			// The samples of a round come from the same minute on the same machine,
			// so the ratio of a round says more than a ratio of medians.
			if our >= 0 {
				ratios = append(ratios, cost/r.samples[our][round].cost(r.memory))
				if !r.memory {
					faster = append(faster, r.samples[our][round].rate()/s.rate())
				}
			}
		}
		rows = append(rows, row{name: c.name, rate: median(rates), p50: median(middles), max: float64(longest.Microseconds()), cost: median(costs),
			low: slices.Min(costs), high: slices.Max(costs), ratio: median(ratios), faster: median(faster)})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		switch {
		case a.cost < b.cost:
			return -1
		case a.cost > b.cost:
			return 1
		}
		return 0
	})
	return rows
}

// median returns the middle value, or the mean of the two in the middle; NaN of no
// values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// A goal is a figure that the project wants to reach.
type goal struct {
	text string
	met  func(rows []row) (met, known bool)
}

func find(rows []row, name string) (row, bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// cheapest: no contestant costs less than ours.
func cheapest() goal {
	return goal{"less CPU than every other", func(rows []row) (bool, bool) {
		_, known := find(rows, ours)
		return rows[0].name == ours, known && len(rows) > 1
	}}
}

// atMost: ours costs no more than so many microseconds. That figure is for a
// certain machine, so timesCheaper stands beside it.
func atMost(microseconds float64) goal {
	return goal{fmt.Sprintf("at most %.0f µs", microseconds), func(rows []row) (bool, bool) {
		r, known := find(rows, ours)
		return r.cost <= microseconds, known
	}}
}

// costsAtMost: a contestant costs at most so many times what a peer costs.
func costsAtMost(name, peer string, times float64) goal {
	return goal{fmt.Sprintf("%s costs at most %.1f of %s", name, times, peer), func(rows []row) (bool, bool) {
		r, known := find(rows, name)
		other, there := find(rows, peer)
		return r.cost <= times*other.cost, known && there
	}}
}

// timesCheaper: the peer costs at least so many times as much as ours.
func timesCheaper(peer string, times float64) goal {
	return goal{fmt.Sprintf("%s costs at least %.1f times as much", peer, times), func(rows []row) (bool, bool) {
		r, known := find(rows, peer)
		return r.ratio >= times, known && !math.IsNaN(r.ratio)
	}}
}

// timesFaster: ours does at least so many times as many units a second.
func timesFaster(peer string, times float64) goal {
	return goal{fmt.Sprintf("at least %.1f times as many a second as %s", times, peer), func(rows []row) (bool, bool) {
		r, known := find(rows, peer)
		return r.faster >= times, known && !math.IsNaN(r.faster)
	}}
}

// within: one unit of ours takes less than this.
func within(d time.Duration) goal {
	return goal{fmt.Sprintf("within %v", d), func(rows []row) (bool, bool) {
		r, known := find(rows, ours)
		return 1/r.rate <= d.Seconds(), known
	}}
}

// slowestWithin: all but the slowest hundredth of ours take less than this.
func slowestWithin(d time.Duration) goal {
	return goal{fmt.Sprintf("p99 within %v", d), func(rows []row) (bool, bool) {
		r, known := find(rows, ours)
		return r.cost <= float64(d.Microseconds()), known
	}}
}

// atMostResident: a million messages in ours take no more than so many octets.
func atMostResident(octets float64) goal {
	return goal{fmt.Sprintf("1,000,000 within %.0f MB", octets/1e6), func(rows []row) (bool, bool) {
		r, known := find(rows, ours)
		return r.cost*1e6 <= octets, known
	}}
}

// judged returns the workload's goals, and whether they are reached.
func (r *result) judged(rows []row) []string {
	var said []string
	for _, g := range r.goals {
		met, known := g.met(rows)
		switch {
		case !known:
			continue
		case met:
			said = append(said, "met: "+g.text)
		default:
			said = append(said, "MISSED: "+g.text)
		}
	}
	return said
}
