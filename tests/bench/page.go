package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writePage writes the Markdown page and its plot, and returns the page's path.
// Date and commit name both.
func writePage(o *options, m machine, results []*result) (string, error) {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return "", err
	}
	name := m.when.UTC().Format("2006-01-02") + "-" + strings.TrimSuffix(m.commit, "+")
	switch { // next to the page of the same commit about everything else
	case o.brokers:
		name += "-broker"
	case o.before != "":
		name += "-before"
	}
	plotted := name + ".svg"
	if err := os.WriteFile(filepath.Join(o.out, plotted), []byte(plot(results)), 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(o.out, name+".md")
	return path, os.WriteFile(path, []byte(page(o, m, results, plotted)), 0o644)
}

func page(o *options, m machine, results []*result, plotted string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Bench of %s\n\n", m.when.UTC().Format("2 January 2006"))
	fmt.Fprintf(&b, "Medians of %d interleaved rounds. CPU is user and system time of the server process, divided by what it served.\n", o.rounds)
	fmt.Fprintf(&b, "The ratio to %s is the median of each round's ratio: it carries over to other machines, the other figures do not.\n", ours)
	if o.before != "" {
		fmt.Fprintf(&b, "%s is revision %s.\n", earlier, o.before)
	}
	fmt.Fprintf(&b, "[How this is measured](../../tests/bench/README.md)\n\n![CPU and memory beside the peers](%s)\n\n", plotted)
	b.WriteString("| | |\n| --- | --- |\n")
	for _, line := range m.lines() {
		fmt.Fprintf(&b, "| %s | %s |\n", line[0], line[1])
	}
	for _, r := range results {
		rows := r.rows()
		fmt.Fprintf(&b, "\n## %s\n\n%s", r.title, r.what)
		if strings.HasPrefix(r.title, "AMQP") || strings.HasPrefix(r.title, "Broker") && !r.latency && !r.memory {
			fmt.Fprintf(&b, " %s %ss a run.", thousands(float64(o.messages/max(r.share, 1))), r.unit)
		} else if r.memory && r.memoryKind == "" {
			fmt.Fprintf(&b, " %s connections.", thousands(float64(o.idle)))
		}
		fmt.Fprintf(&b, "\n\n| %s |\n|%s\n", strings.Join(r.head(), " | "), " --- |"+strings.Repeat(" ---: |", len(r.head())-1))
		for _, row := range rows {
			cells := r.cells(row)
			if row.name == ours {
				for i := range cells {
					cells[i] = "**" + cells[i] + "**"
				}
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
		if text := r.changeText(); text != "" {
			fmt.Fprintf(&b, "\n%s\n", text)
		}
		for i, goal := range r.judged(rows) {
			if i == 0 {
				b.WriteString("\nGoals:\n\n")
			}
			fmt.Fprintf(&b, "- %s\n", goal)
		}
	}
	return b.String()
}
