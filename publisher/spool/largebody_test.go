package spool_test

import (
	"bytes"
	"runtime"
	"testing"

	"zamqp/publisher/spool"
)

// TestLargeBodiesAreNotCopied: a body of many megabytes is written from its own memory, in
// the middle of its transaction and when it is rejected. The owner's thread, which calls Add,
// does not touch its octets.
func TestLargeBodiesAreNotCopied(t *testing.T) {
	const most = 1 << 20
	dir := t.TempDir()
	var work, done []func()
	run := func() {
		for len(work) > 0 {
			fn, end := work[0], done[0]
			work, done = work[1:], done[1:]
			fn()
			end()
		}
	}
	s := open(t, spool.Options{Dir: dir, Max: 1 << 30, Offload: func(fn, end func()) { work, done = append(work, fn), append(done, end) }})
	group := make([]spool.Message, 5)
	for i := range group {
		group[i] = message(i)
		if i != 2 {
			group[i].Body = bytes.Repeat([]byte{byte(i), 'x', 'y'}, 2<<20)
		}
	}
	count := func(what string, fn func()) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d octets were allocated on the owner's thread, want at most %d", what, n, most)
		}
	}
	stored := false
	count("Add", func() {
		if err := s.Add(noon, group, func(err error) { stored = err == nil }); err != nil {
			t.Fatal(err)
		}
		s.Flush()
	})
	run()
	if !stored {
		t.Fatal("it was not stored")
	}
	same := func(what string, got []spool.Message) {
		t.Helper()
		if len(got) != len(group) {
			t.Fatalf("%s: %d messages, want %d", what, len(got), len(group))
		}
		for i := range got {
			if got[i].RoutingKey != group[i].RoutingKey || !bytes.Equal(got[i].Body, group[i].Body) {
				t.Errorf("%s: message %d is another one", what, i)
			}
		}
	}
	var entries []spool.Entry
	s.Fetch(10, 1<<30, func(e []spool.Entry, err error) { entries = e })
	run()
	var got []spool.Message
	for i := range entries {
		got = append(got, entries[i].Message)
	}
	same("fetched", got)
	for i := range entries {
		count("Reject", func() {
			s.Reject(noon, &entries[i], "no", nil)
			s.Flush()
		})
	}
	run()
	s.Flush()
	run()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got = nil
	if err := spool.List(dir, func(e *spool.Entry) { t.Errorf("message %d is in the queue still", e.Number) }, func(a *spool.Rejected) {
		a.Message.Body = bytes.Clone(a.Message.Body)
		got = append(got, a.Message)
	}); err != nil {
		t.Fatal(err)
	}
	same("rejected", got)
}

// TestLargeBodiesCountUntilTheyAreStored: bodies that are lent to a slow disk are limited
// like copied ones.
func TestLargeBodiesCountUntilTheyAreStored(t *testing.T) {
	s := open(t, spool.Options{Dir: t.TempDir(), Max: 1 << 30, Offload: func(fn, end func()) {}})
	m := message(1)
	m.Body = make([]byte, 16<<20)
	n := 0
	for ; n < 20; n++ {
		if s.Add(noon, []spool.Message{m}, func(error) {}) != nil {
			break
		}
	}
	if n > 5 {
		t.Errorf("%d bodies of 16 MiB wait for the disk, want at most 5", n)
	}
}
