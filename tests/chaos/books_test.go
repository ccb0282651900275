package chaos_test

import (
	"sync"
	"testing"
	"time"

	"zamqp/tests/chaos/ledger"
	"zamqp/tests/chaos/plan"
)

// books follows the ledgers while they are written, so that the rig knows when work
// continues.
type books struct {
	t     *testing.T
	tails []*ledger.Tail
	stop  chan struct{}
	done  sync.WaitGroup

	mu      sync.Mutex
	entries []ledger.Entry
	open    map[ledger.ID]time.Time // confirmed at that time, and not handled yet
	handled map[ledger.ID]bool      // or refused by its handler
	mark    time.Time               // work since then is looked for
	first   map[string]time.Time    // its first event: a queue's handler begins, HTTP answers 202
}

// takes is the key of HTTP's answers in books.first.
const takes = "http"

func newBooks(t *testing.T, paths ...string) *books {
	t.Helper()
	b := &books{t: t, stop: make(chan struct{}), open: map[ledger.ID]time.Time{}, handled: map[ledger.ID]bool{}, first: map[string]time.Time{}}
	for _, path := range paths {
		tail, err := ledger.NewTail(path)
		if err != nil {
			t.Fatal(err)
		}
		b.tails = append(b.tails, tail)
	}
	b.done.Go(func() {
		for {
			b.read()
			select {
			case <-b.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return b
}

func (b *books) read() {
	for _, tail := range b.tails {
		entries, err := tail.Next()
		if err != nil {
			b.t.Error(err)
		}
		b.mu.Lock()
		b.entries = append(b.entries, entries...)
		for i := range entries {
			b.enter(&entries[i])
		}
		b.mu.Unlock()
	}
}

func (b *books) enter(e *ledger.Entry) {
	switch e.Kind {
	case ledger.Confirmed:
		b.owe(e.ID, e.Time)
		if e.Queue == plan.Post {
			b.note(takes, e.Time)
		}
	case ledger.Started:
		b.note(e.Queue, e.Time)
	case ledger.Handled:
		b.settle(e.ID)
		if e.Queue == plan.Lane {
			b.owe(ledger.ID{Queue: plan.Next, Key: e.Key, Seq: e.Seq}, e.Time)
		}
	case ledger.Failed:
		if plan.Refused(e.ID) {
			b.settle(e.ID)
		}
	}
}

// owe and settle may come in either order, as the ledgers are read one by one.
func (b *books) owe(id ledger.ID, at time.Time) {
	if !b.handled[id] {
		b.open[id] = at
	}
}

func (b *books) settle(id ledger.ID) {
	b.handled[id] = true
	delete(b.open, id)
}

// owed counts what was confirmed until then and is not handled yet.
func (b *books) owed(until time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.open {
		if !at.After(until) {
			n++
		}
	}
	return n
}

// confirmed counts the messages confirmed so far.
func (b *books) confirmed() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open) + len(b.handled)
}

// look begins to look for work that is done after since, which has passed.
func (b *books) look(since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark = since
	clear(b.first)
	i := len(b.entries)
	for i > 0 && b.entries[i-1].Time.After(since.Add(-disorder)) {
		i--
	}
	for ; i < len(b.entries); i++ {
		switch e := &b.entries[i]; {
		case e.Kind == ledger.Started:
			b.note(e.Queue, e.Time)
		case e.Kind == ledger.Confirmed && e.Queue == plan.Post:
			b.note(takes, e.Time)
		}
	}
}

// disorder is the most by which an entry comes after a later one: the ledgers are
// read one after the other.
const disorder = 2 * time.Second

func (b *books) note(what string, at time.Time) {
	if _, there := b.first[what]; !there && at.After(b.mark) {
		b.first[what] = at
	}
}

// wentOn returns when a handler of each queue has begun, and HTTP has answered, after the
// time given to look; or what is still missing.
func (b *books) wentOn() (at time.Time, missing string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range []string{plan.Lane, plan.Free, plan.Post, plan.Next, takes} {
		first, there := b.first[what]
		if !there {
			return at, "nothing goes on: " + what
		}
		if first.After(at) {
			at = first
		}
	}
	return at, ""
}

// close ends the reading, after everything that is there now.
func (b *books) close() []ledger.Entry {
	close(b.stop)
	b.done.Wait()
	b.read()
	for _, tail := range b.tails {
		_ = tail.Close()
	}
	return b.entries
}
