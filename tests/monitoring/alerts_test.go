package monitoring_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	monitoring = "../../docs/monitoring/"
	promtool   = "promtool" // of Debian's package prometheus
)

// exported are the names on /metrics, and their labels, by the guide's table, which another
// test holds to what a server shows.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{"up": nil, "process_cpu_seconds_total": nil, "process_resident_memory_bytes": nil}
	row := regexp.MustCompile("(?m)^\\| `(zamqp_[a-z_]+)` \\|([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(readFile(t, "../../docs/guide/metrics.md"), -1) {
		labels := strings.Fields(strings.ReplaceAll(m[2], "`", " "))
		if names[m[1]] = labels; strings.Contains(m[1], "_duration_") || strings.Contains(m[1], "_lag_") {
			names[m[1]+"_bucket"], names[m[1]+"_sum"], names[m[1]+"_count"] = append([]string{"le"}, labels...), labels, labels
		}
	}
	if len(names) < 100 {
		t.Fatalf("only %d metrics in the guide", len(names))
	}
	return names
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	metricNames = regexp.MustCompile(`\b(?:zamqp|process|go)_[a-z_]+|\bup\b`)
	selectors   = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	labelNames  = regexp.MustCompile(`([a-z_]+)(?:=|!=|=~|!~)"`)
	groupings   = regexp.MustCompile(`by \(([^)]*)\)`)
	references  = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// checkExpression fails for a metric that does not exist, and for a label that no metric of the
// expression has. texts may name the labels of the result.
func checkExpression(t *testing.T, where, expr string, texts ...string) {
	t.Helper()
	names := exported(t)
	labels := []string{"instance", "job"}
	for _, name := range metricNames.FindAllString(expr, -1) {
		if own, ok := names[name]; ok {
			labels = append(labels, own...)
		} else {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
	for _, s := range selectors.FindAllStringSubmatch(expr, -1) {
		for _, l := range labelNames.FindAllStringSubmatch(s[2], -1) {
			if l[1] != "instance" && l[1] != "job" && !slices.Contains(names[s[1]], l[1]) {
				t.Errorf("%s: %s has no label %s", where, s[1], l[1])
			}
		}
	}
	grouped := labels
	for _, g := range groupings.FindAllStringSubmatch(expr, -1) {
		grouped = strings.Split(g[1], ", ")
		for _, l := range grouped {
			if !slices.Contains(labels, l) {
				t.Errorf("%s: it groups by %s, which no metric in it has", where, l)
			}
		}
	}
	for _, text := range texts {
		for _, l := range references.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(grouped, l[1]) {
				t.Errorf("%s: %q names the label %s, which the result does not have", where, text, l[1])
			}
		}
	}
}

// TestAlerts: the rules name metrics and labels that exist, and the guide explains each rule.
func TestAlerts(t *testing.T) {
	rule := regexp.MustCompile(`- alert: (\w+)\n\s+expr: (.*)\n(?:\s+for: \w+\n)?\s+labels: \{severity: (page|ticket)\}\n\s+annotations:\n\s+summary: "(.*)"\n\s+description: "(.*)"\n`)
	text := readFile(t, monitoring+"alerts.yml")
	rules := rule.FindAllStringSubmatch(text, -1)
	if n := strings.Count(text, "- alert:"); n == 0 || n != len(rules) {
		t.Fatalf("%d rules, and %d of the usual form", n, len(rules))
	}
	guide := readFile(t, "../../docs/guide/monitoring.md")
	for _, r := range rules {
		checkExpression(t, r[1], r[2], r[4], r[5])
		row := fmt.Sprintf("| `%s` | %s | `%s`", r[1], r[3], strings.ReplaceAll(r[2], "|", `\|`))
		if !strings.Contains(guide, row) {
			t.Errorf("docs/guide/monitoring.md lacks a row that begins with %s", row)
		}
	}
	if n := strings.Count(guide, "\n| `Zamqp"); n != len(rules) {
		t.Errorf("docs/guide/monitoring.md has %d rules, alerts.yml %d", n, len(rules))
	}
}

// TestAlertsInPromtool loads the rules with Prometheus' own tool, and runs their tests.
func TestAlertsInPromtool(t *testing.T) {
	runPromtool(t, "check", "rules", "alerts.yml")
	runPromtool(t, "test", "rules", "alerts_test.yml")
}

func runPromtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath(promtool)
	if err != nil {
		t.Skip("promtool is not installed: it comes with Debian's package prometheus")
	}
	cmd := exec.Command(tool, args...)
	cmd.Dir = monitoring
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// A panel is what the test knows of a panel of Grafana.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ UID string }
	Targets     []struct{ RefID, Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		UID, Title    string
		SchemaVersion int
		Panels        []panel
		Templating    struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal([]byte(readFile(t, monitoring+"grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title == "" || dashboard.SchemaVersion < 36 || len(dashboard.Panels) == 0 || len(dashboard.Templating.List) != 2 {
		t.Fatalf("no dashboard: %+v", dashboard)
	}
	return dashboard.Panels
}

// TestDashboard: each panel has a place of its own, an explanation, and expressions of metrics that
// exist.
func TestDashboard(t *testing.T) {
	ids, taken := map[int]bool{}, map[[2]int]string{}
	guide := readFile(t, "../../docs/guide/monitoring.md")
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s: another panel has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, is := taken[at]; is || at[0] >= 24 {
					t.Fatalf("%s: at column %d it covers %q, or the edge", p.Title, at[0], other)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			if !strings.Contains(guide, "| "+p.Title+" |") {
				t.Errorf("docs/guide/monitoring.md does not explain the row %q", p.Title)
			}
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: no description, no expression, or a data source of somebody else", p.Title)
		}
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr, target.LegendFormat)
		}
	}
}

// TestDashboardInPromtool parses the expressions with Prometheus' own tool, as rules.
func TestDashboardInPromtool(t *testing.T) {
	rules := &strings.Builder{}
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			fmt.Fprintf(rules, "      - {record: 'panel:%d:%s', expr: %q}\n", p.ID, strings.ToLower(target.RefID), expr)
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	runPromtool(t, "check", "rules", file)
}
