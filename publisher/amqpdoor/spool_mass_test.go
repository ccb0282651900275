package amqpdoor_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/publisher/spool"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
	"zamqp/tests/kit/racing"
)

// massItems is how many messages a spool has that a process replays.
func massItems() int {
	switch {
	case os.Getenv("ZAMQP_TEST_LONG") != "":
		return 1_000_000
	case testing.Short() || racing.Enabled:
		return 5_000
	}
	return 50_000
}

// TestReplayOfMany limits how many messages of a spool are sent, and how many are forgotten,
// between two operations of the wires: the limit does not depend on how many there are.
func TestReplayOfMany(t *testing.T) {
	n := massItems()
	disk := crashfs.New()
	fill(t, disk, n)
	w := doortest.New(t, 0, broker.Options{MemoryMax: 1 << 40})
	w.Down = true
	p := w.Start(doortest.Setup{Registry: writing(), Spool: disk, Client: spooling(nil, nil).Client})
	w.Advance(time.Second)
	const most = 2000
	left, worst := p.Store.Stats().Left, uint64(0)
	sent, worstSent := 0, 0
	w.OnOperation = func(int) {
		now := p.Store.Stats().Left
		worst = max(worst, now-left)
		left = now
		unconfirmed, _ := p.Client.Unconfirmed()
		worstSent = max(worstSent, unconfirmed-sent)
		sent = unconfirmed
	}
	w.Down = false
	emptied(w, p)
	if worst > most || worstSent > most {
		t.Errorf("%d of %d messages sent, and %d forgotten, in one turn: want at most %d", worstSent, n, worst, most)
	}
	if got := w.Messages("work"); got != n {
		t.Errorf("%d messages have come of %d", got, n)
	}
	t.Logf("%d messages: at most %d sent and %d forgotten in one turn", n, worstSent, worst)
}

// fill makes a spool of n messages for the queue work.
func fill(t *testing.T, disk *crashfs.FS, n int) {
	t.Helper()
	s, _, err := spool.Open(spool.Options{Dir: "spool", FS: disk, Max: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	const group = 1000
	for i := 0; i < n; i += group {
		messages := make([]spool.Message, 0, group)
		for k := i; k < min(n, i+group); k++ {
			messages = append(messages, spool.Message{Producer: "work", RoutingKey: "work", Mandatory: true, RawProperties: []byte{0, 0}, Body: []byte(strconv.Itoa(k))})
		}
		if err := s.Add(time.Unix(0, 0), messages, func(err error) {
			if err == nil {
				stored += len(messages)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil || stored != n {
		t.Fatalf("%d stored, %v", stored, err)
	}
}
