package spool_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/journal"
	"zamqp/publisher/spool"
)

var noon = time.UnixMilli(1_700_000_000_000)

func message(n int) spool.Message {
	return spool.Message{
		Producer: "orders", Exchange: "e", RoutingKey: fmt.Sprint("key ", n), Mandatory: n%2 == 0,
		RawProperties: []byte{0, 0}, Body: []byte(strings.Repeat(fmt.Sprint(n), n%50)),
	}
}

func open(t *testing.T, o spool.Options) *spool.Spool {
	t.Helper()
	s, _, err := spool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// add stores messages from..to, one by one, and waits for the disk.
func add(t *testing.T, s *spool.Spool, from, to int) {
	t.Helper()
	told := 0
	for n := from; n <= to; n++ {
		if err := s.Add(noon, []spool.Message{message(n)}, func(err error) {
			if err == nil {
				told++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if told != 0 {
		t.Error("told inside Add")
	}
	if err := s.Sync(); err != nil || told != to-from+1 {
		t.Fatalf("%d of %d told, %v", told, to-from+1, err)
	}
}

// fetch reads everything that comes next.
func fetch(t *testing.T, s *spool.Spool, count int) (all []spool.Entry) {
	t.Helper()
	for s.Fetch(count, 1<<20, func(entries []spool.Entry, err error) {
		if err != nil {
			t.Error(err)
		}
		all = append(all, entries...)
	}) {
	}
	return all
}

// want compares entries with messages from..to.
func want(t *testing.T, what string, got []spool.Entry, from, to int) {
	t.Helper()
	if len(got) != max(0, to-from+1) {
		t.Fatalf("%s: %d messages, want %d to %d", what, len(got), from, to)
	}
	for i, e := range got {
		m := message(from + i)
		if len(m.Body) == 0 {
			m.Body = e.Body
		}
		if e.Number != uint64(from+i) || !e.Since.Equal(noon) || !reflect.DeepEqual(e.Message, m) {
			t.Fatalf("%s: message %d is %+v, want %+v", what, from+i, e, m)
		}
	}
}

func TestSpoolGivesBackInOrder(t *testing.T) {
	o := spool.Options{Dir: t.TempDir(), SegmentSize: 10_000}
	s := open(t, o)
	add(t, s, 1, 1000)
	want(t, "at first", fetch(t, s, 7), 1, 1000)
	want(t, "nothing new", fetch(t, s, 7), 1001, 1000)
	add(t, s, 1001, 1010)
	want(t, "what is new", fetch(t, s, 100), 1001, 1010)
	s.Rewind()
	want(t, "again", fetch(t, s, 64), 1, 1010)
	for n := range uint64(500) {
		s.Gone(n + 1)
	}
	s.Gone(502) // 501 is still on its way
	s.Rewind()
	if got := fetch(t, s, 64); len(got) != 509 || got[0].Number != 501 || got[1].Number != 503 {
		t.Errorf("%d, from %d and %d", len(got), got[0].Number, got[1].Number)
	}
	s.Gone(501)
	if st := s.Stats(); st.Messages != 508 || st.Added != 1010 || st.Left != 502 || st.Oldest != 503 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	want(t, "after a restart", fetch(t, s, 64), 503, 1010)
	for n := uint64(503); n <= 1010; n++ {
		s.Gone(n)
	}
	if !s.Empty() || s.Stats().Bytes != 0 {
		t.Errorf("%+v", s.Stats())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	defer s.Close()
	if !s.Empty() || s.Stats().DiskBytes > 2*10_000 {
		t.Errorf("%+v", s.Stats())
	}
	add(t, s, 1011, 1020)
	want(t, "numbers go on", fetch(t, s, 64), 1011, 1020)
}

func TestSpoolGivesBackTheDisk(t *testing.T) {
	s := open(t, spool.Options{Dir: t.TempDir(), SegmentSize: 100_000})
	defer s.Close()
	for round := range 20 {
		for range 100 {
			if err := s.Add(noon, []spool.Message{{Body: make([]byte, 10_000)}}, func(error) {}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		for _, e := range fetch(t, s, 10) {
			s.Gone(e.Number)
			if e.Number%10 == 0 {
				s.Flush()
			}
		}
		s.Flush()
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.DiskBytes > 300_000 || st.Messages != 0 {
			t.Fatalf("round %d: %+v", round, st)
		}
	}
}

func TestSpoolIsBounded(t *testing.T) {
	s := open(t, spool.Options{Dir: t.TempDir(), Max: 10_000})
	defer s.Close()
	n := 0
	var err error
	for ; n < 1000 && err == nil; n++ {
		err = s.Add(noon, []spool.Message{message(3)}, func(error) {})
	}
	if !errors.Is(err, spool.ErrFull) || s.Stats().Bytes > 10_000 || s.Stats().Bytes < 9_900 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
	// All of a transaction or nothing.
	s.Gone(1)
	before := s.Stats()
	if err := s.Add(noon, []spool.Message{message(1), message(1)}, func(error) {}); !errors.Is(err, spool.ErrFull) {
		t.Error(err)
	}
	if s.Stats() != before {
		t.Errorf("%+v, was %+v", s.Stats(), before)
	}
	if err := s.Add(noon, []spool.Message{message(3)}, func(error) {}); err != nil {
		t.Error(err)
	}
	if err := s.Add(noon, []spool.Message{{Body: make([]byte, 20_000)}}, nil); !errors.Is(err, spool.ErrFull) || !strings.Contains(err.Error(), "raise spool_max") {
		t.Error(err)
	}
}

func TestRejected(t *testing.T) {
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	add(t, s, 1, 5)
	all := fetch(t, s, 10)
	told := 0
	for _, i := range []int{1, 3} {
		s.Reject(noon, &all[i], fmt.Sprint("reason ", i+1), func(err error) {
			if err == nil {
				told++
			}
		})
	}
	s.Gone(1)
	if err := s.Sync(); err != nil || told != 2 {
		t.Fatal(err, told)
	}
	if st := s.Stats(); st.Messages != 2 || st.Rejected != 2 || st.Rejections != 2 || st.RejectedBytes == 0 {
		t.Errorf("%+v", st)
	}
	if err := spool.List(o.Dir, nil, nil); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("list of an open one: %v", err)
	}
	if _, _, err := spool.Open(o); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		var texts []string
		err := spool.List(o.Dir,
			func(e *spool.Entry) { texts = append(texts, fmt.Sprint(e.Number, " ", e.RoutingKey)) },
			func(a *spool.Rejected) {
				texts = append(texts, fmt.Sprint(a.Number, " ", a.RoutingKey, ": ", a.Reason))
			})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(texts, "; ")
	}
	if got := list(); got != "3 key 3; 5 key 5; 2 key 2: reason 2; 4 key 4: reason 4" {
		t.Errorf("%s", got)
	}
	s = open(t, o)
	if st := s.Stats(); st.Messages != 2 || st.Rejected != 2 {
		t.Errorf("%+v", st)
	}
	if err := s.Retry(noon, []uint64{2, 77}); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(4); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(5); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(99); err == nil {
		t.Error("99 was dropped")
	}
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := list(); got != "3 key 3; 6 key 2" {
		t.Errorf("%s", got)
	}
	s = open(t, o)
	if st := s.Stats(); st.Messages != 2 || st.Rejected != 0 || len(fetch(t, s, 10)) != 2 {
		t.Errorf("%+v", st)
	}
	s.Gone(3)
	s.Flush()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	if st := s.Stats(); st.Messages != 1 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := spool.List(filepath.Join(o.Dir, "nothing"), nil, nil); err != nil {
		t.Error(err)
	}
}

// TestSize: what is listed adds up to what Stats counts.
func TestSize(t *testing.T) {
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	add(t, s, 1, 5)
	want := s.Stats().Bytes
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var got int64
	if err := spool.List(o.Dir, func(e *spool.Entry) { got += e.Size() }, nil); err != nil || got != want {
		t.Errorf("%d octets, %v; want %d", got, err, want)
	}
}

func TestCompactKeepsWhatIsRejected(t *testing.T) {
	o := spool.Options{Dir: t.TempDir(), SegmentSize: 4096}
	s := open(t, o)
	add(t, s, 1, 400)
	all := fetch(t, s, 1000)
	for i := range all {
		s.Reject(noon, &all[i], "no", nil)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 400; n++ {
		if n%100 != 0 {
			if err := s.Drop(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := s.Stats().DiskBytes
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	if after := s.Stats().DiskBytes; after > before/2 {
		t.Errorf("%d octets of %d are left", after, before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var left []uint64
	if err := spool.List(o.Dir, func(e *spool.Entry) { t.Errorf("%d is queued", e.Number) }, func(a *spool.Rejected) { left = append(left, a.Number) }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(left, []uint64{100, 200, 300, 400}) {
		t.Errorf("%v", left)
	}
}

// TestAnyCutIsWhole cuts the journal at random places, as a kill or a power cut
// does: what is there is a beginning of what was added, by whole transactions.
func TestAnyCutIsWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Options{Dir: dir, SegmentSize: 1 << 20})
	for n := 1; n <= 300; n += 3 {
		if err := s.Add(noon, []spool.Message{message(n), message(n + 1), message(n + 2)}, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "queue", "*.journal"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		cut := 32 + rnd.IntN(len(whole)-32)
		if err := os.WriteFile(names[0], whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, spool.Options{Dir: dir})
		got := fetch(t, s, 50)
		if len(got)%3 != 0 {
			t.Fatalf("cut at %d: %d messages, no whole transactions", cut, len(got))
		}
		want(t, fmt.Sprint("cut at ", cut), got, 1, len(got))
		add(t, s, len(got)+1, len(got)+3)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFailedDiskIsTold(t *testing.T) {
	failed := 0
	s := open(t, spool.Options{Dir: t.TempDir(), FS: &brokenFS{}, Failed: func(error) { failed++ }})
	var outcome error
	if err := s.Add(noon, []spool.Message{message(1)}, func(err error) { outcome = err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err == nil || outcome == nil || failed != 1 || !strings.Contains(outcome.Error(), "no space") {
		t.Errorf("%v, %v, %d", err, outcome, failed)
	}
	if err := s.Add(noon, []spool.Message{message(1)}, nil); err == nil {
		t.Error("stored on a failed disk")
	}
	_ = s.Close()
}

// brokenFS writes nothing behind the heads of its files.
type brokenFS struct{ journal.OS }

type brokenFile struct{ journal.File }

func (f *brokenFS) Open(name string, flag int) (journal.File, error) {
	file, err := f.OS.Open(name, flag)
	return brokenFile{file}, err
}

func (f brokenFile) WriteAt(p []byte, off int64) (int, error) {
	if off > 0 {
		return 0, errors.New("no space left on device")
	}
	return f.File.WriteAt(p, off)
}
