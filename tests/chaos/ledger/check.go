package ledger

import (
	"fmt"
	"slices"
	"time"
)

// NormalMax is how long it may take until work goes on, once an independent client
// finds the broker well.
const NormalMax = 3 * time.Second

// CaughtUpMax is how long the work that has piled up during a fault may take: several times
// as long as the slowest handler of the plan needs for it.
const CaughtUpMax = 30 * time.Second

// Queue is what a check knows about a queue of the run.
type Queue struct {
	Prefetch int
	// Ordered: the messages of a key are begun in the order of their numbers.
	Ordered bool
	// From is the queue whose handler publishes into this one: each message that it
	// has handled has to be handled here, too. Empty: a producer publishes.
	From string
	// Refused says which messages their handler refuses for good, so that it is
	// right that they are dead letters.
	Refused func(ID) bool
}

// Fault is one fault of a run, with the time until the next one.
type Fault struct {
	Kind  string
	Begin time.Time
	// Deaths is how many of our processes died. Each death allows a queue at most
	// its prefetch in second deliveries. Negative: the fault is the broker's, which
	// may cost more.
	Deaths int
	// Unordered: two processes consumed. A lane is in order within one process
	// only.
	Unordered bool
	// Normal is how long it took until work went on after the broker was well, and
	// CaughtUp until everything that was confirmed by then had been handled.
	Normal   []time.Duration
	CaughtUp time.Duration
	// Stalled says what was still missing when the wait for it ended.
	Stalled string
}

// Row is the cost of all faults of one kind.
type Row struct {
	Kind                                             string
	Count                                            int
	Confirmed, Handled, Lost, Duplicated, Overtaken  int
	Dead, DeadUnseen, DeadWrongly, AgainMost, Stalls int
	Normal, CaughtUp                                 []time.Duration
}

// Result is the outcome of a check.
type Result struct {
	Rows       []Row
	Violations []string
}

// Total returns the sum of all rows.
func (r *Result) Total() Row {
	t := Row{Kind: "all"}
	for i := range r.Rows {
		t.Add(&r.Rows[i])
	}
	return t
}

// Add adds the figures of another row.
func (r *Row) Add(o *Row) {
	r.Count += o.Count
	r.Confirmed += o.Confirmed
	r.Handled += o.Handled
	r.Lost += o.Lost
	r.Duplicated += o.Duplicated
	r.Overtaken += o.Overtaken
	r.Dead += o.Dead
	r.DeadUnseen += o.DeadUnseen
	r.DeadWrongly += o.DeadWrongly
	r.AgainMost = max(r.AgainMost, o.AgainMost)
	r.Stalls += o.Stalls
	r.Normal = append(r.Normal, o.Normal...)
	r.CaughtUp = append(r.CaughtUp, o.CaughtUp...)
}

// None is the kind of everything that happens before the first fault.
const None = "none"

// Check reads the ledgers of a run. Each event counts for the last fault that began
// before it.
func Check(entries []Entry, faults []Fault, queues map[string]Queue) *Result {
	c := &check{queues: queues, faults: append([]Fault{{Kind: None}}, faults...), lives: map[ID]*life{}}
	c.again = make([]map[string]int, len(c.faults))
	c.rows = make([]Row, len(c.faults))
	for i := range c.again {
		c.again[i] = map[string]int{}
	}
	slices.SortStableFunc(c.faults[1:], func(a, b Fault) int { return a.Begin.Compare(b.Begin) })
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	for i := range entries {
		c.enter(&entries[i])
	}
	c.owe()
	for id, l := range c.lives {
		c.close(id, l)
	}
	c.order()
	for i := range c.faults {
		c.goals(i)
	}
	return &Result{Rows: c.byKind(), Violations: c.violations}
}

// life is everything that the ledgers say about one message.
type life struct {
	published, handled, failed int
	confirmed                  time.Time
	starts                     []time.Time
	dead                       string // the reason; empty: it is not dead
	isDead                     bool
}

type check struct {
	queues     map[string]Queue
	faults     []Fault
	rows       []Row            // for each fault
	again      []map[string]int // for each fault, second runs by queue
	lives      map[ID]*life
	violations []string
	said       map[string]int // violations of a kind; only the first few are reported one by one
}

func (c *check) life(id ID) *life {
	l := c.lives[id]
	if l == nil {
		l = &life{}
		c.lives[id] = l
	}
	return l
}

// at returns the number of the last fault that began before t.
func (c *check) at(t time.Time) int {
	i, _ := slices.BinarySearchFunc(c.faults[1:], t, func(f Fault, t time.Time) int {
		if f.Begin.After(t) {
			return 1
		}
		return -1
	})
	return i
}

func (c *check) enter(e *Entry) {
	l := c.life(e.ID)
	switch e.Kind {
	case Published:
		l.published++
	case Confirmed:
		if l.confirmed.IsZero() {
			l.confirmed = e.Time
			c.rows[c.at(e.Time)].Confirmed++
		}
	case Started:
		l.starts = append(l.starts, e.Time)
	case Handled:
		if l.handled++; l.handled == 1 {
			c.rows[c.at(e.Time)].Handled++
		}
	case Failed:
		l.failed++
	case Dead:
		l.isDead, l.dead = true, e.Note
	default:
		c.violate("ledger", "an entry of the unknown kind %q", e.Kind)
	}
}

// owe enters what handlers have published: once for each time that they ended well,
// because that confirms the publish.
func (c *check) owe() {
	for name, q := range c.queues {
		if q.From == "" {
			continue
		}
		for id, l := range c.lives {
			if id.Queue == q.From && l.handled > 0 {
				next := c.life(ID{name, id.Key, id.Seq})
				next.published += l.handled
				next.confirmed = l.starts[0]
			}
		}
	}
}

// close settles the account of one message.
func (c *check) close(id ID, l *life) {
	q := c.queues[id.Queue]
	row := &c.rows[c.at(l.confirmed)]
	if !l.confirmed.IsZero() && l.handled == 0 && !l.isDead {
		row.Lost++
		c.violate("lost", "%s was confirmed at %s and never handled", id, clock(l.confirmed))
	}
	if l.isDead {
		row.Dead++
		if len(l.starts) == 0 {
			row.DeadUnseen++
			c.violate("dead unseen", "%s is dead (%s), and no handler has seen it", id, l.dead)
		}
		if q.Refused == nil || !q.Refused(id) {
			row.DeadWrongly++
			c.violate("dead", "%s is dead (%s), and its handler did not refuse it", id, l.dead)
		}
	}
	extra := len(l.starts) - l.failed - max(1, l.published)
	for i := range max(0, extra) {
		at := c.at(l.starts[len(l.starts)-1-i])
		c.rows[at].Duplicated++
		c.again[at][id.Queue]++
	}
}

// order finds messages that were begun after a later one of their key.
func (c *check) order() {
	type key struct{ queue, key string }
	keys := map[key][]ID{}
	for id, l := range c.lives {
		if c.queues[id.Queue].Ordered && len(l.starts) > 0 {
			k := key{id.Queue, id.Key}
			keys[k] = append(keys[k], id)
		}
	}
	for _, ids := range keys {
		slices.SortFunc(ids, func(a, b ID) int { return b.Seq - a.Seq })
		first := c.lives[ids[0]].starts[0] // the smallest time of all with a greater number
		for _, id := range ids[1:] {
			began := c.lives[id].starts[0]
			if at := c.at(began); began.After(first) && !c.faults[at].Unordered {
				c.rows[at].Overtaken++
				c.violate("overtaken", "%s was begun at %s, after a later one of its key at %s", id, clock(began), clock(first))
			}
			if began.Before(first) {
				first = began
			}
		}
	}
}

// goals compares one fault with what is promised about it.
func (c *check) goals(i int) {
	f, row := &c.faults[i], &c.rows[i]
	row.Kind, row.Count = f.Kind, 1
	row.Normal = f.Normal
	if f.CaughtUp > 0 {
		row.CaughtUp = []time.Duration{f.CaughtUp}
	}
	for queue, again := range c.again[i] {
		row.AgainMost = max(row.AgainMost, again)
		if bound := f.Deaths * c.queues[queue].Prefetch; bound >= 0 && again > bound {
			c.violate("duplicated", "%s at %s: %d second deliveries from queue %s, %d are excused", f.Kind, clock(f.Begin), again, queue, bound)
		}
	}
	for _, d := range f.Normal {
		if d > NormalMax {
			c.violate("slow", "%s at %s: work went on %.1f s after the broker was well", f.Kind, clock(f.Begin), d.Seconds())
		}
	}
	if f.CaughtUp > CaughtUpMax {
		c.violate("behind", "%s at %s: what waited was handled only after %.1f s", f.Kind, clock(f.Begin), f.CaughtUp.Seconds())
	}
	if f.Stalled != "" {
		row.Stalls = 1
		c.violate("stalled", "%s at %s: %s", f.Kind, clock(f.Begin), f.Stalled)
	}
}

// byKind adds up the faults of each kind, in the order in which the kinds appear
// first.
func (c *check) byKind() (rows []Row) {
	for i := range c.rows {
		at := slices.IndexFunc(rows, func(r Row) bool { return r.Kind == c.rows[i].Kind })
		if at < 0 {
			rows = append(rows, Row{Kind: c.rows[i].Kind})
			at = len(rows) - 1
		}
		rows[at].Add(&c.rows[i])
	}
	return rows
}

// violate reports the first few violations of a kind.
func (c *check) violate(kind, format string, args ...any) {
	const few = 5
	if c.said == nil {
		c.said = map[string]int{}
	}
	c.said[kind]++
	switch n := c.said[kind]; {
	case n <= few:
		c.violations = append(c.violations, kind+": "+fmt.Sprintf(format, args...))
	case n == few+1:
		c.violations = append(c.violations, kind+": and more, see the table")
	}
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
