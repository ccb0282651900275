package chaos_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

// TestShort makes a few faults of one RabbitMQ and of ours, and of a process of ours with the
// broker in it.
func TestShort(t *testing.T) {
	for _, row := range []struct {
		site  func(*testing.T) *site
		kinds string
	}{
		{single, "broker: kill -9, ours: kill -9, broker: frozen, ours: rolling, ours: drain"},
		{inside, "ours: kill -9, ours: drain"},
	} {
		s := row.site(t)
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t, s)
			for kind := range strings.SplitSeq(row.kinds, ", ") {
				r.do(s.fault(t, kind))
			}
			report(t, s.name, r.finish())
		})
	}
}

// TestSeededBugs: the rig finds the bugs that it is made for.
func TestSeededBugs(t *testing.T) {
	for _, row := range []struct{ bug, kind, want string }{
		{plan.BugLose, "", "lost: post/"},
		{plan.BugRepeat, "", "duplicated: none "},
		{plan.BugReorder, "", "overtaken: lane/0/5 "},
		{plan.BugBury, "", "dead unseen: post/"},
		{plan.BugSlow, "ours: kill -9", "slow: ours: kill -9 "},
	} {
		t.Run(row.bug, func(t *testing.T) {
			t.Parallel()
			s := beside(t)
			r := newRig(t, s, plan.BugEnv+"="+row.bug)
			for r.books.confirmed() < 500 && !t.Failed() {
				time.Sleep(10 * time.Millisecond)
			}
			if row.kind != "" {
				f := *s.fault(t, row.kind)
				f.backlog = 0
				r.do(&f)
			}
			r.patience = 2 * time.Second // a lost message does not come
			got := r.finish().Violations
			found := false
			for _, v := range got {
				found = found || strings.HasPrefix(v, row.want)
			}
			if !found {
				t.Errorf("the rig found %q, not %q", got, row.want)
			}
		})
	}
}

// TestLong is the long form, for CHAOSTIME. Each site has a share.
func TestLong(t *testing.T) {
	whole, err := time.ParseDuration(os.Getenv("CHAOSTIME"))
	if err != nil {
		t.Skip("make chaos: for as long as CHAOSTIME says")
	}
	if ownNetwork(t) {
		return
	}
	p, sum := newPage(whole), 0
	for _, row := range longSites {
		sum += row.share()
	}
	for _, row := range longSites {
		if row.share() == 0 {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			s := row.site(t)
			r := newRig(t, s)
			began, share := time.Now(), whole*time.Duration(row.share())/time.Duration(sum)
			for !p.enough(s.faults, time.Since(began), share) {
				f := p.next(s.faults)
				r.do(f)
				p.did(f)
			}
			result := r.finish()
			report(t, s.name, result)
			p.add(s.name, result)
		})
	}
	p.write(t)
}

type longSite struct {
	name   string
	site   func(*testing.T) *site
	shares int
}

// longSites have shares by how long their faults take.
var longSites = []longSite{
	{"single", single, 5}, {"spool", spooled, 4}, {"cluster", cluster, 9}, {"inside", inside, 1}, {"beside", beside, 1},
}

// share of the site, if it is one of those that CHAOSONLY names.
func (s *longSite) share() int {
	if only := os.Getenv("CHAOSONLY"); only != "" && !strings.Contains(only, s.name) {
		return 0
	}
	return s.shares
}

// report fails the test for each violation, and prints the table.
func report(t *testing.T, name string, result *ledger.Result) {
	t.Helper()
	t.Logf("%s\n%s", name, ledger.Table(result.Rows))
	for _, v := range result.Violations {
		t.Error(v)
	}
}
