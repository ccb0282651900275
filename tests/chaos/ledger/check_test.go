package ledger_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/tests/chaos/ledger"
)

var epoch = time.Unix(1_000_000, 0)

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// book makes entries from "kind queue/key/seq second".
func book(t *testing.T, lines ...string) (entries []ledger.Entry) {
	t.Helper()
	for _, line := range lines {
		f := strings.Fields(line)
		id := strings.Split(f[1], "/")
		seq, second := int(id[2][0]-'0'), 0
		for _, c := range f[2] {
			second = second*10 + int(c-'0')
		}
		entries = append(entries, ledger.Entry{Kind: ledger.Kind(f[0]), ID: ledger.ID{Queue: id[0], Key: id[1], Seq: seq}, Time: at(second)})
	}
	return entries
}

// well is a run without a fault: two messages of a lane, published on.
var well = []string{
	"published lane/k/0 1", "confirmed lane/k/0 2", "started lane/k/0 3", "handled lane/k/0 3", "started next/k/0 4", "handled next/k/0 4",
	"published lane/k/1 5", "confirmed lane/k/1 6", "started lane/k/1 7", "handled lane/k/1 7", "started next/k/1 8", "handled next/k/1 8",
}

// TestCheck: each kind of violation is found, and what is excused is none.
func TestCheck(t *testing.T) {
	queues := map[string]ledger.Queue{
		"lane": {Prefetch: 1, Ordered: true},
		"next": {Prefetch: 1, From: "lane"},
		"free": {Prefetch: 1, Refused: func(id ledger.ID) bool { return id.Seq == 9 }},
	}
	kill := []ledger.Fault{{Kind: "kill", Begin: at(10), Deaths: 1}}
	for _, row := range []struct {
		name   string
		more   []string
		faults []ledger.Fault
		want   string // the beginning of the only violation; empty: there is none
		row    ledger.Row
	}{
		{name: "all is well"},
		{name: "a message that nobody confirmed may be lost", more: []string{"published free/k/0 1"}},
		{name: "lost", more: []string{"published free/k/0 11", "confirmed free/k/0 12"}, faults: kill,
			want: "lost: free/k/0 ", row: ledger.Row{Kind: "kill", Count: 1, Confirmed: 1, Lost: 1}},
		{name: "begun is not handled", more: []string{"published free/k/0 11", "confirmed free/k/0 12", "started free/k/0 13"}, faults: kill,
			want: "lost: free/k/0 ", row: ledger.Row{Kind: "kill", Count: 1, Confirmed: 1, Lost: 1}},
		{name: "published on and lost", more: []string{"published lane/l/0 11", "started lane/l/0 12", "handled lane/l/0 12"}, faults: kill,
			want: "lost: next/l/0 ", row: ledger.Row{Kind: "kill", Count: 1, Handled: 1, Lost: 1}},
		{name: "one second delivery for a death", more: []string{"started next/k/1 11", "handled next/k/1 11"}, faults: kill,
			row: ledger.Row{Kind: "kill", Count: 1, Duplicated: 1, AgainMost: 1}},
		{name: "two second deliveries for a death", more: []string{"started next/k/1 11", "started next/k/0 12"}, faults: kill,
			want: "duplicated: kill ", row: ledger.Row{Kind: "kill", Count: 1, Duplicated: 2, AgainMost: 2}},
		{name: "a duplicate without a fault", more: []string{"started next/k/1 9"}, want: "duplicated: none "},
		{name: "two copies published", more: []string{"published lane/k/1 6", "started lane/k/1 9", "handled lane/k/1 9", "started next/k/1 9"}},
		{name: "run again after it failed", more: []string{"published free/k/0 1", "confirmed free/k/0 1", "started free/k/0 2", "failed free/k/0 2", "started free/k/0 3", "handled free/k/0 3"}},
		{name: "overtaken", more: []string{"published lane/l/0 11", "started lane/l/1 12", "started lane/l/0 13"}, faults: kill,
			want: "overtaken: lane/l/0 ", row: ledger.Row{Kind: "kill", Count: 1, Overtaken: 1}},
		{name: "overtaken where no order is promised", more: []string{"started free/l/1 12", "started free/l/0 13"}, faults: kill,
			row: ledger.Row{Kind: "kill", Count: 1}},
		{name: "overtaken by another process", more: []string{"started lane/l/1 12", "started lane/l/0 13"},
			faults: []ledger.Fault{{Kind: "kill", Begin: at(10), Unordered: true}}, row: ledger.Row{Kind: "kill", Count: 1}},
		{name: "dead and refused", more: []string{"started free/k/9 2", "failed free/k/9 2", "dead free/k/9 20"}},
		{name: "dead and not refused", more: []string{"started free/k/8 2", "dead free/k/8 20"}, want: "dead: free/k/8 "},
		{name: "dead and unseen", more: []string{"dead free/k/9 20"}, want: "dead unseen: free/k/9 "},
		{name: "slow", faults: []ledger.Fault{{Kind: "kill", Begin: at(10), Normal: []time.Duration{4 * time.Second}}},
			want: "slow: kill ", row: ledger.Row{Kind: "kill", Count: 1, Normal: []time.Duration{4 * time.Second}}},
		{name: "behind", faults: []ledger.Fault{{Kind: "kill", Begin: at(10), CaughtUp: 40 * time.Second}},
			want: "behind: kill ", row: ledger.Row{Kind: "kill", Count: 1, CaughtUp: []time.Duration{40 * time.Second}}},
		{name: "stalled", faults: []ledger.Fault{{Kind: "kill", Begin: at(10), Stalled: "nothing went on"}},
			want: "stalled: kill ", row: ledger.Row{Kind: "kill", Count: 1, Stalls: 1}},
		{name: "a kind of entry that is none", more: []string{"vanished free/k/0 1"}, want: "ledger: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ledger.Check(book(t, append(append([]string(nil), well...), row.more...)...), row.faults, queues)
			switch {
			case row.want == "" && len(got.Violations) > 0:
				t.Errorf("violations: %q", got.Violations)
			case row.want != "" && (len(got.Violations) != 1 || !strings.HasPrefix(got.Violations[0], row.want)):
				t.Errorf("violations: %q, want one of %q", got.Violations, row.want)
			}
			if row.faults != nil && !reflect.DeepEqual(got.Rows[1], row.row) {
				t.Errorf("%+v, want\n%+v", got.Rows[1], row.row)
			}
		})
	}
}

// TestTail: a ledger is read while it is written, line by whole line.
func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	f, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	tail, err := ledger.NewTail(path)
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Entry{Kind: ledger.Started, ID: ledger.ID{Queue: "q", Key: "k", Seq: 7}, Time: epoch, Process: 3, Attempt: 2, Redelivered: true, Note: "why\tnot"}
	if err := f.Add(want); err != nil {
		t.Fatal(err)
	}
	half := want.Append(nil)
	if err := os.WriteFile(path, append(want.Append(nil), half[:10]...), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := tail.Next(); err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(path, append(want.Append(nil), half...), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := tail.Next(); err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
}

// TestTable: the sum has what happened before the first fault, too, which is no fault.
func TestTable(t *testing.T) {
	text := ledger.Table([]ledger.Row{{Kind: ledger.None, Count: 1, Confirmed: 3}, {Kind: "kill", Count: 2, Confirmed: 4, Normal: []time.Duration{time.Second}}})
	if !strings.Contains(text, "| all | 2 | 7 |") || !strings.Contains(text, "| 1.00 | 1.00 |") {
		t.Error(text)
	}
}
