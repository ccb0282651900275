package spool_test

import (
	"testing"

	"zamqp/publisher/spool"
	"zamqp/tests/kit/crashfs"
)

// TestManyBehindOneThatStays: messages leave while the first one waits. When it has left,
// too, all others are forgotten, a limited number in each turn.
func TestManyBehindOneThatStays(t *testing.T) {
	const n, most = 100_000, 5000
	var posted []func()
	disk := crashfs.New()
	o := spool.Options{Dir: "spool", FS: disk, Offload: func(work, done func()) { posted = append(posted, func() { work(); done() }) }}
	s := open(t, o)
	for i := 1; i <= n; i += 1000 {
		group := make([]spool.Message, 1000)
		for k := range group {
			group[k] = message(i + k)
		}
		if err := s.Add(noon, group, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	turn := func() {
		s.Flush()
		now := posted
		posted = nil
		for _, fn := range now {
			fn()
		}
	}
	for range 5 {
		turn()
	}
	for i := uint64(2); i <= n; i++ {
		s.Gone(i)
	}
	worst, last := uint64(0), s.Oldest()
	look := func() {
		worst = max(worst, s.Oldest()-last)
		last = s.Oldest()
	}
	s.Gone(1)
	look()
	if s.Len() != 0 {
		t.Errorf("%d are to leave", s.Len())
	}
	for turns := 0; !s.Empty(); turns++ {
		if turns > n || !s.Lags() {
			t.Fatalf("not forgotten after %d turns: %v", turns, s.Lags())
		}
		turn()
		look()
	}
	if worst > most {
		t.Errorf("%d of %d forgotten in one turn, want at most %d", worst, n, most)
	}
	turn()
	if s.Oldest() != n+1 || s.Lags() {
		t.Errorf("the oldest is %d", s.Oldest())
	}
}

// TestCloseBeforeAllIsForgotten: after that, messages that have left do not come back.
func TestCloseBeforeAllIsForgotten(t *testing.T) {
	const n = 20_000
	disk := crashfs.New()
	o := spool.Options{Dir: "spool", FS: disk, Offload: func(work, done func()) { work(); done() }}
	s := open(t, o)
	group := make([]spool.Message, n)
	for k := range group {
		group[k] = message(k + 1)
	}
	if err := s.Add(noon, group, func(error) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := uint64(n); i > 0; i-- {
		s.Gone(i)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = open(t, o); s.Len() != 0 {
		t.Errorf("%d messages are back", s.Len())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
