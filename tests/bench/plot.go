package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the plot, in pixels.
const (
	panelWidth = 500
	barHeight  = 18
	barGap     = 6
	nameWidth  = 200
	valueWidth = 60
	headHeight = 52
	margin     = 16
)

// plot draws one panel of bars for each workload as SVG, two panels beside each
// other. A shorter bar is always better.
func plot(results []*result) string {
	var b strings.Builder
	y := 0
	for i := 0; i < len(results); i += 2 {
		height := 0
		for k := i; k < min(i+2, len(results)); k++ {
			height = max(height, panel(&b, results[k], (k-i)*panelWidth, y))
		}
		y += height
	}
	const style = `text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}` +
		`.unit{fill:#57606a;font-size:12px}.end{text-anchor:end}.ours{font-weight:600}`
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+
		"<style>%[3]s</style><rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n%[4]s</svg>\n",
		2*panelWidth, y+margin, style, b.String())
}

// panel draws one workload and returns its height.
func panel(b *strings.Builder, r *result, x, y int) int {
	rows := r.rows()
	unit, divisor := "CPU µs a "+r.unit, 1.0
	if r.tail {
		unit = "p99 µs"
	}
	if r.memory {
		unit, divisor = r.kind()+" KiB a "+r.unit, 1<<10
	}
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s</text>`, x+margin, y+margin+12, html.EscapeString(r.title))
	fmt.Fprintf(b, `<text class="unit" x="%d" y="%d">%s</text>`+"\n", x+margin, y+margin+28, html.EscapeString(unit))
	most := rows[len(rows)-1].cost
	room := float64(panelWidth - nameWidth - valueWidth - 2*margin)
	for i, row := range rows {
		class, colour := "end", "#8c959f"
		if row.name == ours {
			class, colour = "end ours", "#0969da"
		}
		top := y + headHeight + i*(barHeight+barGap)
		width := max(1, room*max(0, row.cost)/most)
		left := x + margin + nameWidth
		fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">%s</text>`, class, left-8, top+13, html.EscapeString(row.name))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`, left, top, width, barHeight, colour)
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", float64(left)+width+6, top+13, figure(row.cost/divisor))
	}
	return headHeight + len(rows)*(barHeight+barGap) + margin
}
