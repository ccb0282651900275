package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// head returns the names of a workload's columns.
func (r *result) head() []string {
	if r.memory {
		return []string{"server", r.kind() + " KiB/" + r.unit, "lowest–highest", "× " + ours}
	}
	if r.tail {
		return []string{"server", "p50 µs", "p99 µs", "lowest–highest", "max µs", "× " + ours}
	}
	if r.latency {
		return []string{"server", "ms/" + r.unit, "CPU µs/" + r.unit, "lowest–highest", "× " + ours}
	}
	return []string{"server", r.unit + "s/s", "CPU µs/" + r.unit, "lowest–highest", "× " + ours}
}

// kind says which memory was measured.
func (w *workload) kind() string {
	if w.memoryKind != "" {
		return w.memoryKind
	}
	return "private"
}

// cells returns one row as text.
func (r *result) cells(w row) []string {
	ratio := "–"
	if !math.IsNaN(w.ratio) {
		ratio = fmt.Sprintf("%.2f", w.ratio)
	}
	if r.memory {
		const kib = 1 << 10
		return []string{w.name, figure(w.cost / kib), figure(w.low/kib) + "–" + figure(w.high/kib), ratio}
	}
	if r.tail {
		return []string{w.name, figure(w.p50), figure(w.cost), figure(w.low) + "–" + figure(w.high), figure(w.max), ratio}
	}
	rate := thousands(w.rate)
	if r.latency {
		rate = figure(1e3 / w.rate)
	}
	return []string{w.name, rate, figure(w.cost), figure(w.low) + "–" + figure(w.high), ratio}
}

// figure prints as many decimals as are worth reading.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(v float64) string {
	digits := strconv.FormatInt(int64(math.Round(v)), 10)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}

// printTables prints one table for each workload on a terminal, and whether the
// goals were reached, which a tiny run cannot tell.
func printTables(w io.Writer, results []*result, goals bool) {
	for _, r := range results {
		rows := r.rows()
		lines := [][]string{r.head()}
		for _, row := range rows {
			lines = append(lines, r.cells(row))
		}
		widths := make([]int, len(lines[0]))
		for _, line := range lines {
			for i, cell := range line {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
		fmt.Fprintf(w, "\n%s  (%s)\n", r.title, r.name)
		for n, line := range lines {
			fmt.Fprintln(w, mark(line[0])+align(line, widths))
			if n == 0 {
				fmt.Fprintln(w, "  "+strings.Repeat("─", sum(widths)+3*(len(widths)-1)))
			}
		}
		if text := r.changeText(); text != "" {
			fmt.Fprintln(w, "  "+text)
		}
		if !goals {
			continue
		}
		for _, goal := range r.judged(rows) {
			fmt.Fprintln(w, "  goal", goal)
		}
	}
	fmt.Fprintln(w)
}

// changeText says how much more ours costs than the earlier revision; "" without
// one.
func (r *result) changeText() string {
	ratio, low, high, known := r.change()
	if !known {
		return ""
	}
	return fmt.Sprintf("now by before: %.3f (95 %%: %.3f–%.3f)", ratio, low, high)
}

// mark points at our own line.
func mark(name string) string {
	if name == ours {
		return "▸ "
	}
	return "  "
}

// align aligns names left and numbers right. fmt counts octets, which is wrong for
// cells with letters beyond ASCII, so this counts runes.
func align(cells []string, widths []int) string {
	padded := make([]string, len(cells))
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			padded[i] = cell + pad
		} else {
			padded[i] = pad + cell
		}
	}
	return strings.Join(padded, "   ")
}

func sum(values []int) (total int) {
	for _, v := range values {
		total += v
	}
	return total
}
