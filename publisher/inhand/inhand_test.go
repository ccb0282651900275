package inhand_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zamqp/publisher/inhand"
)

var clock = time.Unix(1e9, 0)

func open(t testing.TB, dir string) *inhand.Journal {
	t.Helper()
	j, err := inhand.Open(inhand.Options{Dir: dir, Now: func() time.Time { return clock }, Report: func(path string, err error) { t.Logf("%s: %v", path, err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(true) })
	return j
}

// killed copies a directory while its files are open: what the next process finds
// after a kill.
func killed(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, path := range files(t, dir) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestEvidence: a message that was being handled at a kill is evidence for the next process,
// once for each time.
func TestEvidence(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	if j.Kept() || j.Any() {
		t.Error("a new directory knows something")
	}
	done := j.Start(0, 1, 0, false, false)
	j.Start(0, 2, 0, false, false)
	j.Start(0, 2, 4, false, false) // an equal message
	j.Start(0, 3, 2, true, true)
	shared := j.Start(0, 4, 2, true, false)
	j.Shared(shared)
	j.Free(done)

	j = open(t, killed(t, dir))
	if !j.Kept() || j.Left() != 4 {
		t.Fatalf("kept %v, left %d", j.Kept(), j.Left())
	}
	if slot, _ := j.Claim(1, false); slot != 0 {
		t.Error("a message that was handled is still in hand")
	}
	a, first := j.Claim(2, false)
	_, second := j.Claim(2, false)
	if third, _ := j.Claim(2, false); first.Ends+second.Ends != 6 || third != 0 {
		t.Errorf("%+v %+v %d", first, second, third)
	}
	if slot, _ := j.Claim(3, false); slot != 0 {
		t.Error("the evidence of the quarantine's message is claimed for another")
	}
	if slot, e := j.Claim(3, true); slot == 0 || e != (inhand.Evidence{Ends: 3, Alone: true}) {
		t.Errorf("%+v", e)
	}
	if _, e := j.Claim(4, false); e != (inhand.Evidence{Ends: 3}) {
		t.Errorf("%+v", e)
	}
	if j.Any() {
		t.Error("something is left")
	}
	j.Unclaim(a)
	if slot, e := j.Claim(2, false); slot != a || e != first {
		t.Errorf("%+v", e)
	}
}

// TestEvidenceSurvivesFurtherKills: it counts only ends at which its message was being
// handled.
func TestEvidenceSurvivesFurtherKills(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Start(0, 7, 0, true, false)
	for range 3 {
		dir = killed(t, dir)
		j := open(t, dir)
		slot, e := j.Claim(7, false) // claimed, but its handler did not begin
		if slot == 0 || e != (inhand.Evidence{Ends: 1, Alone: true}) {
			t.Fatalf("%+v", e)
		}
	}
	dir = killed(t, dir)
	j := open(t, dir)
	slot, e := j.Claim(7, false)
	j.Start(slot, 7, e.Ends, false, false)
	j = open(t, killed(t, dir))
	if _, e := j.Claim(7, false); e != (inhand.Evidence{Ends: 2}) {
		t.Errorf("%+v", e)
	}
}

// TestEnds: messages that a clean stop has cut off have ended no process. Another end, such
// as a panic of the loop, may be their doing.
func TestEnds(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		dir := t.TempDir()
		j := open(t, dir)
		j.Start(0, 7, 0, true, false)
		j.Close(orderly)
		j = open(t, dir)
		if !j.Kept() || j.Any() == orderly {
			t.Errorf("orderly %v: kept %v, left %d", orderly, j.Kept(), j.Left())
		}
	}
}

// TestProcessesShareADirectory: each process has its own file. A new process takes over what
// one ended process has left, and leaves the other files to others. So each process of N
// knows about its share of the ends.
func TestProcessesShareADirectory(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	b := open(t, dir)
	if !b.Kept() || len(files(t, dir)) != 2 {
		t.Fatal(files(t, dir))
	}
	a.Start(0, 1, 0, false, false)
	b.Start(0, 1, 0, false, false)
	b.Start(0, 2, 0, false, false)
	left := killed(t, dir)
	c := open(t, left)
	d := open(t, left)
	if c.Left()+d.Left() != 3 || c.Left() == 0 || d.Left() == 0 || len(files(t, left)) != 2 {
		t.Error(c.Left(), d.Left(), files(t, left))
	}
	if e := open(t, left); e.Any() || !e.Kept() || len(files(t, left)) != 3 {
		t.Error("the evidence of a process that runs is taken")
	}
}

// TestStartedAgain: a process that ends again and again finds what it has left,
// whatever others have; files that tell nothing are removed.
func TestStartedAgain(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		j := open(t, dir)
		if len(files(t, dir))%2 == 1 {
			j.Start(0, 1, 0, false, false)
		}
	}
	defer func(was time.Time) { clock = was }(clock)
	for ends := range 4 {
		dir = killed(t, dir)
		clock = clock.Add(time.Second)
		j := open(t, dir)
		if n := len(files(t, dir)); n != 2 {
			t.Fatalf("%d files", n)
		}
		slot, e := j.Claim(7, false)
		if e.Ends != ends {
			t.Fatalf("%d ends, want %d", e.Ends, ends)
		}
		j.Start(slot, 7, e.Ends, false, false)
	}
}

func TestStaleEvidence(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Start(0, 1, 0, false, false)
	defer func(was time.Time) { clock = was }(clock)
	clock = clock.Add(8 * 24 * time.Hour)
	if j := open(t, killed(t, dir)); j.Any() {
		t.Error("evidence of last week")
	}
}

// TestForeignFiles are left alone, and the journal works.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Start(0, 1, 0, false, false)
	dir = killed(t, dir)
	whole, err := os.ReadFile(files(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"short": whole[:5000], "other version": append([]byte{2}, whole[1:]...), "text": []byte("hello"),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "inhand-x.slots")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir)
		if j.Any() || j.Kept() {
			t.Errorf("%s: kept %v, left %d", name, j.Kept(), j.Left())
		}
		if slot := j.Start(0, 1, 0, false, false); slot == 0 {
			t.Error(name)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
			t.Errorf("%s: changed", name)
		}
	}
}

// TestPagesThatCannotBeWritten: the process goes on.
func TestPagesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	told := 0
	j, err := inhand.Open(inhand.Options{Dir: dir, Failed: func(error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files(t, dir)[0], 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		j.Free(j.Start(0, 1, 0, false, false))
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	j.Close(true)
}

func TestFull(t *testing.T) {
	j := open(t, t.TempDir())
	for i := range inhand.Slots {
		if j.Start(0, uint64(i+1), 0, false, false) == 0 {
			t.Fatal(i)
		}
	}
	if j.Start(0, 1, 0, false, false) != 0 {
		t.Error("one more")
	}
	j.Free(7)
	if j.Start(0, 1, 0, false, false) != 7 {
		t.Error("none free")
	}
}

func TestDirectoryThatCannotBeMade(t *testing.T) {
	if unix.Geteuid() == 0 {
		file := filepath.Join(t.TempDir(), "file")
		_ = os.WriteFile(file, nil, 0o600)
		if _, err := inhand.Open(inhand.Options{Dir: filepath.Join(file, "data")}); err == nil {
			t.Error("no error")
		}
		return
	}
	if _, err := inhand.Open(inhand.Options{Dir: "/nobody/may/write/here"}); err == nil {
		t.Error("no error")
	}
}

func TestStartDoesNotAllocate(t *testing.T) {
	j := open(t, t.TempDir())
	if n := testing.AllocsPerRun(100, func() { j.Free(j.Start(0, 1, 0, false, false)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStartAndFree(b *testing.B) {
	j := open(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		j.Free(j.Start(0, 1, 0, false, false))
	}
}
