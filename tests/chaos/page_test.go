package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/tests/chaos/ledger"
)

// A long run must have seen these before its zeros mean much.
const (
	confirmedMin = 100_000
	countMin     = 10
)

// page is the report of a long run.
type page struct {
	began      time.Time
	revision   string // that it began with
	whole      time.Duration
	rows       []ledger.Row // of all sites, by kind
	sites      strings.Builder
	violations []string
	done       map[string]int // faults so far, by kind
	tried      map[*fault]bool
}

func newPage(whole time.Duration) *page {
	return &page{began: time.Now(), revision: revision(), whole: whole, done: map[string]int{}, tried: map[*fault]bool{}}
}

// next chooses a fault: each of a site once, then those that the whole run has
// had the fewest of.
// enough reports whether a site has had its share of the time. Where all of the
// run lasts long enough to judge it, a site may take half as long again for the
// kinds that have not been done often enough.
func (p *page) enough(faults []fault, spent, share time.Duration) bool {
	owes := p.whole >= 30*time.Minute && slices.ContainsFunc(faults, func(f fault) bool { return p.done[f.kind] < countMin })
	return spent >= share && (!owes || spent >= share*3/2)
}

func (p *page) next(faults []fault) *fault {
	var best *fault
	for _, i := range rand.Perm(len(faults)) {
		f := &faults[i]
		if best == nil || p.rank(f) < p.rank(best) {
			best = f
		}
	}
	return best
}

func (p *page) rank(f *fault) int {
	if !p.tried[f] {
		return -1
	}
	return p.done[f.kind]
}

func (p *page) did(f *fault) {
	p.done[f.kind]++
	p.tried[f] = true
}

func (p *page) add(name string, result *ledger.Result) {
	fmt.Fprintf(&p.sites, "\n## %s\n\n%s", name, ledger.Table(result.Rows))
	for _, v := range result.Violations {
		p.violations = append(p.violations, name+": "+v)
	}
	for i := range result.Rows {
		row := &result.Rows[i]
		at := slices.IndexFunc(p.rows, func(r ledger.Row) bool { return r.Kind == row.Kind })
		if at < 0 {
			p.rows = append(p.rows, ledger.Row{Kind: row.Kind})
			at = len(p.rows) - 1
		}
		p.rows[at].Add(row)
	}
}

// short says of what the run has had too little.
func (p *page) short() (missing []string) {
	confirmed := 0
	for _, r := range p.rows {
		confirmed += r.Confirmed
		if r.Kind != ledger.None && r.Count < countMin {
			missing = append(missing, fmt.Sprintf("%s: %d of %d faults", r.Kind, r.Count, countMin))
		}
	}
	if confirmed < confirmedMin {
		missing = append(missing, fmt.Sprintf("%d of %d confirmed messages", confirmed, confirmedMin))
	}
	return missing
}

// write prints the page, and writes it to CHAOSPAGE if that is set.
func (p *page) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# Chaos, %s\n\n", p.began.UTC().Format("2006-01-02"))
	fmt.Fprintf(&b, "`CHAOSTIME=%s make chaos` at revision %s, on %d processors, %s. [tests/chaos](../../tests/chaos/README.md) says what is done and what the columns mean.\n\n",
		p.whole, p.revision, runtime.NumCPU(), runtime.GOOS)
	b.WriteString("## All sites\n\n" + ledger.Table(p.rows) + "\n## Goals\n\n")
	if len(p.violations) == 0 {
		b.WriteString("None was missed.\n")
	}
	for _, v := range p.violations {
		b.WriteString("- " + v + "\n")
	}
	if short := p.short(); len(short) > 0 {
		b.WriteString("\nToo few to judge: " + strings.Join(short, "; ") + ".\n")
	}
	b.WriteString(p.sites.String())
	t.Log("\n" + b.String())
	if path := os.Getenv("CHAOSPAGE"); path != "" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func revision() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
