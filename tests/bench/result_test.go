package main

import (
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func twoRounds() *result {
	r := newResult(workload{name: "w", title: "A <title>", unit: "request",
		contestants: []contestant{{name: "slow"}, {name: ours}, {name: "even"}},
		goals:       []goal{cheapest(), atMost(5), timesCheaper("slow", 3), timesCheaper("absent", 2)}})
	us := func(n int) sample {
		return sample{count: 10, wall: time.Second, cpu: time.Duration(n) * 10 * time.Microsecond}
	}
	r.samples = [][]sample{{us(20), us(30), us(25)}, {us(10), us(5), us(5)}, {us(10), us(5), us(5)}}
	return r
}

func TestRowsAreMediansOfRoundsWithTheCheapestFirst(t *testing.T) {
	rows := twoRounds().rows()
	if rows[0].name != ours || rows[2].name != "slow" {
		t.Fatalf("order: %v", rows)
	}
	slow := rows[2]
	// The ratios of the rounds are 2, 6 and 5.
	if slow.cost != 25 || slow.low != 20 || slow.high != 30 || slow.ratio != 5 || slow.rate != 10 {
		t.Errorf("slow: %+v", slow)
	}
}

func TestWithoutOursThereIsNoRatio(t *testing.T) {
	r := twoRounds()
	r.contestants[1].name = "other"
	rows := r.rows()
	if !math.IsNaN(rows[0].ratio) {
		t.Errorf("ratio to nothing: %v", rows[0].ratio)
	}
	if said := r.judged(rows); said != nil {
		t.Errorf("goals judged without ours: %q", said)
	}
}

func TestJudgedNamesWhatIsKnown(t *testing.T) {
	r := twoRounds()
	want := []string{"met: less CPU than every other", "met: at most 5 µs", "met: slow costs at least 3.0 times as much"}
	if got := r.judged(r.rows()); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
	r.goals = []goal{atMost(4)}
	if got := r.judged(r.rows()); len(got) != 1 || got[0] != "MISSED: at most 4 µs" {
		t.Errorf("got %q", got)
	}
}

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		in   []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := median(row.in); got != row.want {
			t.Errorf("median(%v) = %v, want %v", row.in, got, row.want)
		}
	}
}

func TestNumbersReadWell(t *testing.T) {
	for in, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568"} {
		if got := thousands(in); got != want {
			t.Errorf("thousands(%v) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{0.456: "0.46", 9.876: "9.88", 12.34: "12.3", 123.4: "123"} {
		if got := figure(in); got != want {
			t.Errorf("figure(%v) = %s, want %s", in, got, want)
		}
	}
}

func TestPlotIsWellFormed(t *testing.T) {
	memory := twoRounds()
	memory.memory = true
	text := plot([]*result{twoRounds(), memory, twoRounds()})
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	if n := strings.Count(text, ">zamqp<"); n != 3 {
		t.Errorf("ours is in %d of 3 panels", n)
	}
}

func TestPageHasEveryTable(t *testing.T) {
	o := &options{rounds: 3, messages: 1000}
	m := machine{when: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), commit: "abc"}
	text := page(o, m, []*result{twoRounds()}, "p.svg")
	for _, want := range []string{"# Bench of 2 January 2026", "](p.svg)", "## A <title>", "| **zamqp** |", "- met: at most 5 µs"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestChoose(t *testing.T) {
	count := func(o *options) (n int) {
		for _, w := range choose(catalog(o), o) {
			n += len(w.contestants)
		}
		return n
	}
	if got := count(&options{only: regexp.MustCompile("^consume/(zamqp|pika)$")}); got != 2 {
		t.Errorf("-only chose %d, want 2", got)
	}
	if got := count(&options{only: regexp.MustCompile("^idle/"), skip: regexp.MustCompile("http")}); got != 3 {
		t.Errorf("-skip left %d, want zamqp, evio and gnet", got)
	}
	if got := count(&options{only: regexp.MustCompile("no such")}); got != 0 {
		t.Errorf("chose %d of nothing", got)
	}
	for _, w := range choose(catalog(&options{}), &options{smoke: true}) {
		seen := make(map[*program]bool)
		for _, c := range w.contestants {
			if seen[c.prog] {
				t.Errorf("smoke runs %s twice in %s", c.prog.name, w.name)
			}
			seen[c.prog] = true
		}
	}
}

func TestChangeIsTheMeanOfTheRoundsRatios(t *testing.T) {
	r := newResult(workload{contestants: []contestant{{name: ours}, {name: earlier}}})
	us := func(n int) sample {
		return sample{count: 10, wall: time.Second, cpu: time.Duration(n) * 10 * time.Microsecond}
	}
	r.samples = [][]sample{{us(10), us(20), us(40)}, {us(10), us(10), us(10)}}
	ratio, low, high, known := r.change()
	if !known || math.Abs(ratio-2) > 1e-9 {
		t.Errorf("ratio %v, known %v, want 2", ratio, known)
	}
	// The logarithms are 0, 1 and 2 times log 2: deviation log 2, 2 degrees of freedom.
	if want := math.Exp(math.Ln2 * (1 + 4.303/math.Sqrt(3))); math.Abs(high-want) > 1e-6 || math.Abs(low*high-4) > 1e-9 {
		t.Errorf("interval %v to %v, want up to %v", low, high, want)
	}
	r.contestants[1].name = "peer"
	if _, _, _, known := r.change(); known {
		t.Error("a peer is taken for an earlier revision")
	}
}
