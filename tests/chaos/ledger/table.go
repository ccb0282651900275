package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Columns of a table, with what they mean.
const Columns = `count: faults of the kind. confirmed: messages confirmed to their publisher, from the fault's beginning to
the next one's; a message that a handler published on counts as handled, not as confirmed. lost: confirmed, and neither handled nor
dead at the end. dup: runs of a handler beyond the first that no second publish and no failure of the handler explains; the
number behind the slash is the most that one fault has cost one queue. overtaken: begun after a later message of their lane.
dead: dead letters; unseen: those that no handler has seen; wrongly: those that no handler has refused. normal: seconds from
the first login and confirmed publish of an independent client until each consumer has begun a message and HTTP has
answered 202; caught up: until all that was confirmed by then had been handled. stalled: faults after which that did not
come.`

// Table writes rows as a table in Markdown, with their sum at the end.
func Table(rows []Row) string {
	var b strings.Builder
	b.WriteString("| fault | count | confirmed | handled | lost | dup | overtaken | dead | unseen | wrongly | normal: median | max | caught up: median | max | stalled |\n")
	b.WriteString("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n")
	total := (&Result{Rows: slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Kind == None })}).Total()
	for _, r := range rows {
		if r.Kind == None {
			total.addCounts(&r)
			r.Count = 0
		}
		r.write(&b)
	}
	total.write(&b)
	return b.String()
}

// addCounts adds what was counted where there was no fault.
func (r *Row) addCounts(o *Row) {
	count := r.Count
	r.Add(o)
	r.Count = count
}

func (r *Row) write(b *strings.Builder) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d/%d | %d | %d | %d | %d | %s | %s | %s | %s | %d |\n", r.Kind, r.Count, r.Confirmed, r.Handled,
		r.Lost, r.Duplicated, r.AgainMost, r.Overtaken, r.Dead, r.DeadUnseen, r.DeadWrongly,
		seconds(median(r.Normal)), seconds(most(r.Normal)), seconds(median(r.CaughtUp)), seconds(most(r.CaughtUp)), r.Stalls)
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", d.Seconds())
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

func most(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all)
}
