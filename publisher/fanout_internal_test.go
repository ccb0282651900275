package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// turns is a runtime whose turns the test makes.
type turns struct {
	now    time.Time
	next   []func()
	posted []func()
}

func (r *turns) Now() time.Time                  { return r.now }
func (r *turns) Since(t time.Time) time.Duration { return r.now.Sub(t) }
func (r *turns) Enter(*string)                   {}
func (r *turns) Offload(_ uintptr, _, _ func())  { panic("not in this test") }
func (r *turns) Post(fn func()) bool             { r.posted = append(r.posted, fn); return true }

func (r *turns) After(_ time.Duration, fn func()) func() bool {
	r.next = append(r.next, fn)
	return func() bool { return false }
}

// turn runs what is due, and reports whether anything was.
func (r *turns) turn() bool {
	due := append(r.next, r.posted...)
	r.next, r.posted = nil, nil
	for _, fn := range due {
		fn()
	}
	return len(due) > 0
}

// client is a subscriber that takes as much as the test allows.
type client struct {
	sub   subscription
	got   []byte
	takes int // octets at once
	stuck bool
	err   error // of deliver
	ended error
	times int // that deliver was called
	turn  int // the same, since the test looked
}

func (c *client) format() eventFormat { return formatEventStream }

func (c *client) deliver(p []byte) (n int, more bool, err error) {
	c.times++
	c.turn++
	if c.err != nil {
		return 0, false, c.err
	}
	if n = len(p); c.takes > 0 {
		n = min(n, c.takes)
	}
	c.got = append(c.got, p[:n]...)
	return n, !c.stuck, nil
}

func (c *client) dropped(cause error) { c.ended = cause }

// broadcasting returns a server with one topic.
func broadcasting(t *testing.T, options Topic) (*Server, *topic, *turns) {
	t.Helper()
	g := NewRegistry()
	g.AddTopic("news", options)
	s, err := NewServer(g, nil, nil, Options{Log: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	rt := &turns{now: time.Unix(1700000000, 0)}
	s.runtime = rt
	return s, s.topics["news"], rt
}

func send(t *testing.T, s *Server, e Event) *broadcast {
	t.Helper()
	b, err := s.broadcast("news", e)
	if err != nil {
		t.Fatal(err)
	}
	b.told = func() {}
	b.send()
	return b
}

func TestTenThousandSubscribersAreServedInSlices(t *testing.T) {
	const n = 10000
	s, topic, rt := broadcasting(t, Topic{})
	clients := make([]client, n)
	for i := range clients {
		topic.subscribe(&clients[i].sub, &clients[i], "", nil)
	}
	send(t, s, Event{ID: "1", Data: "first"})
	if topic.stats.deliveries != 0 {
		t.Errorf("%d deliveries in the turn of the broadcast, want none", topic.stats.deliveries)
	}
	turns := 0
	for rt.turn() {
		turns++
		served := 0
		for i := range clients {
			if clients[i].turn > 0 {
				served, clients[i].turn = served+1, 0
			}
		}
		if served == 0 || served > fanoutClients {
			t.Fatalf("%d clients were served in a turn, want %d at most", served, fanoutClients)
		}
		if turns == 3 { // while the first one is still on its way
			send(t, s, Event{ID: "2", Data: "second"})
		}
	}
	want := "id: 1\ndata: first\n\nid: 2\ndata: second\n\n"
	for i := range clients {
		if string(clients[i].got) != want {
			t.Fatalf("client %d got %q", i, clients[i].got)
		}
	}
	if turns < n/fanoutClients {
		t.Errorf("%d turns", turns)
	}
	if topic.stats.deliveries != 2*n {
		t.Errorf("%d deliveries, want %d", topic.stats.deliveries, 2*n)
	}
}

func TestAnEventIsEncodedOnceAndDeliveredWithoutAllocation(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{Events: 16})
	clients := make([]client, 100)
	for i := range clients {
		clients[i].got = make([]byte, 0, 1<<20)
		topic.subscribe(&clients[i].sub, &clients[i], "", nil)
	}
	perEvent := func(clients int) float64 {
		return testing.AllocsPerRun(50, func() {
			send(t, s, Event{Data: "some news"})
			for rt.turn() {
			}
		})
	}
	many := perEvent(100)
	for i := range clients[1:] {
		clients[1+i].sub.end()
	}
	if one := perEvent(1); many > one+1 { // one slice more is fine
		t.Errorf("%v allocations for an event to 100 clients, %v to one", many, one)
	}
}

func TestASlowSubscriberIsDroppedAndNobodyElse(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{Events: 8})
	var slow, fast client
	slow.stuck = true
	topic.subscribe(&slow.sub, &slow, "", nil)
	topic.subscribe(&fast.sub, &fast, "", nil)
	for i := range 9 {
		send(t, s, Event{ID: fmt.Sprint(i), Data: "x"})
		for rt.turn() {
		}
	}
	if slow.ended != nil || topic.stats.subscribers != 2 {
		t.Fatalf("dropped while its next event is kept: %v", slow.ended)
	}
	send(t, s, Event{ID: "9", Data: "x"})
	for rt.turn() {
	}
	if !errors.Is(slow.ended, ErrSlow) || topic.stats.slow != 1 || topic.stats.subscribers != 1 {
		t.Errorf("ended with %v; %+v", slow.ended, topic.stats)
	}
	if slow.times != 1 {
		t.Errorf("the slow one was offered %d events, want the first alone", slow.times)
	}
	if got := strings.Count(string(fast.got), "data: x"); got != 10 || fast.ended != nil {
		t.Errorf("the fast one got %d events: %v", got, fast.ended)
	}
	if !topic.blocked.empty() {
		t.Error("the dropped one is still in a list")
	}
}

func TestABurstMakesNobodySlow(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{Events: 8})
	clients := make([]client, 1000)
	for i := range clients {
		topic.subscribe(&clients[i].sub, &clients[i], "", nil)
	}
	var all []*broadcast
	for i := range 100 { // at once, many more than are kept
		all = append(all, send(t, s, Event{ID: fmt.Sprint(i), Data: "x"}))
	}
	if all[7].added != true || all[8].added != false || len(topic.line) != 92 {
		t.Fatalf("%d wait", len(topic.line))
	}
	for rt.turn() {
	}
	for i, b := range all {
		if !b.added {
			t.Fatalf("event %d still waits", i)
		}
	}
	for i := range clients {
		if n := strings.Count(string(clients[i].got), "data: x"); n != 100 || clients[i].ended != nil {
			t.Fatalf("client %d got %d events: %v", i, n, clients[i].ended)
		}
	}
}

func TestASubscriberThatComesBackGetsWhatItHasMissed(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{Events: 4})
	for i := range 6 {
		send(t, s, Event{ID: fmt.Sprint(i), Data: i})
	}
	for _, row := range []struct {
		name, after string
		missed      bool
		want        string
	}{
		{"for the first time", "", false, ""},
		{"up to date", "5", false, ""},
		{"two missed", "3", false, "45"},
		{"too old", "1", true, "2345"},
		{"from another process", "nobody knows", true, "2345"},
	} {
		var c client
		before := topic.stats.missed
		topic.subscribe(&c.sub, &c, row.after, nil)
		missed := topic.stats.missed > before
		for rt.turn() {
		}
		got := ""
		for _, line := range strings.Split(string(c.got), "\n") {
			if data, is := strings.CutPrefix(line, "data: "); is {
				got += data
			}
		}
		if got != row.want || missed != row.missed {
			t.Errorf("%s: got %q, missed %v", row.name, got, missed)
		}
		c.sub.end()
	}
	if topic.stats.subscribers != 0 || topic.stats.resumed != 4 || topic.stats.missed != 2 {
		t.Errorf("%+v", topic.stats)
	}
}

func TestALargeEventGoesInPieces(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{})
	c := client{takes: 1000, stuck: true}
	topic.subscribe(&c.sub, &c, "", nil)
	text := strings.Repeat("x", 4500)
	send(t, s, Event{ID: "1", Data: text})
	for i := range 5 {
		for rt.turn() {
		}
		if len(c.got) != min(1000*(i+1), 4500+len("id: 1\ndata: \n\n")) {
			t.Fatalf("%d octets after %d pieces", len(c.got), i+1)
		}
		if !c.sub.blocked || c.sub.partial() != (i < 4) {
			t.Fatalf("after piece %d: %+v", i+1, c.sub)
		}
		c.sub.room()
	}
	if _, err := s.broadcast("news", Event{Data: strings.Repeat("x", 300<<10)}); err == nil || !strings.Contains(err.Error(), "topic.news.octets") {
		t.Errorf("an event of 300 KiB: %v", err)
	}
}

func TestMemoryOfATopicIsBounded(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{Octets: 64 << 10})
	slow := client{stuck: true}
	topic.subscribe(&slow.sub, &slow, "", nil)
	for range 1000 {
		send(t, s, Event{Data: strings.Repeat("x", 5000)})
		for rt.turn() {
		}
		if topic.log.octets > 64<<10+6000 { // the encoding of the last one
			t.Fatalf("%d octets are kept", topic.log.octets)
		}
	}
	if len(topic.log.ids) != topic.log.count {
		t.Errorf("%d ids of %d events", len(topic.log.ids), topic.log.count)
	}
}

func TestAFailedClientEndsAloneAndFiltersPass(t *testing.T) {
	s, topic, rt := broadcasting(t, Topic{})
	gone := client{err: ErrGone}
	var some client
	topic.subscribe(&gone.sub, &gone, "", nil)
	topic.subscribe(&some.sub, &some, "", func(e *Event) bool { return e.Name == "a" })
	send(t, s, Event{Name: "a", Data: "1"})
	send(t, s, Event{Name: "b", Data: "2"})
	send(t, s, Event{Name: "a", Data: []byte{0xff}}) // no text
	send(t, s, Event{Name: "a", Data: "3"})
	for rt.turn() {
	}
	if gone.ended != ErrGone || topic.stats.slow != 0 || topic.stats.subscribers != 1 {
		t.Errorf("%v, %+v", gone.ended, topic.stats)
	}
	if got := string(some.got); strings.Count(got, "event: a") != 2 || strings.Contains(got, "2") && strings.Contains(got, "event: b") {
		t.Errorf("got %q", got)
	}
}

func TestBroadcastOfAnUnknownTopic(t *testing.T) {
	s, _, _ := broadcasting(t, Topic{})
	if err := s.Broadcast(context.Background(), "olds", Event{}); err == nil || !strings.Contains(err.Error(), `publisher.AddTopic("olds", …)`) {
		t.Error(err)
	}
}
