package app

import (
	"errors"
	"testing"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/loop"
	"zamqp/publisher/dial"
)

// TestRepeatsAreNotLogged: a failure that repeats each second is logged now and then, and
// everything new is logged at once.
func TestRepeatsAreNotLogged(t *testing.T) {
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := &link{Dialer: dial.Dialer{Loop: l}, quiet: map[failing]repeated{}}
	refused, locked := errors.New("refused"), errors.New("locked")
	for i, row := range []struct {
		event client.Event
		old   bool // half a minute has passed
		more  int
		quiet bool
	}{
		{event: client.Event{Kind: client.EventLost, Err: refused}},
		{event: client.Event{Kind: client.EventDialFailed, Err: refused}},
		{event: client.Event{Kind: client.EventDialFailed, Err: refused}, quiet: true},
		{event: client.Event{Kind: client.EventDialFailed, Err: locked}, quiet: true}, // of another node
		{event: client.Event{Kind: client.EventDialFailed, Err: refused}, old: true, more: 2},
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "a", Err: refused}},
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "b", Err: refused}},
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "a", Err: refused}, quiet: true},
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "a", Err: locked}, more: 1},
		{event: client.Event{Kind: client.EventConnected}},
		{event: client.Event{Kind: client.EventLost, Err: refused}},
		{event: client.Event{Kind: client.EventLost}}, // closed
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "a", Err: locked}, quiet: true},
		{event: client.Event{Kind: client.EventConsumerUp, Name: "a"}},
		{event: client.Event{Kind: client.EventConsumerFailed, Name: "a", Err: locked}},
	} {
		if row.old {
			for what, last := range k.quiet {
				last.at = last.at.Add(-repeatedEvery - time.Second)
				k.quiet[what] = last
			}
		}
		if more, quiet := k.repeats(&row.event); more != row.more || quiet != row.quiet {
			t.Errorf("%d: %v %s: %d more, quiet %v", i, row.event.Kind, row.event.Name, more, quiet)
		}
	}
}

// TestLostIsWhatWasOpen: a connection that was never open is not reported as lost.
func TestLostIsWhatWasOpen(t *testing.T) {
	k := &link{}
	why := errors.New("why")
	for i, row := range []struct {
		event client.Event
		want  string
	}{
		{client.Event{Kind: client.EventLost, Err: why}, "login failed"},
		{client.Event{Kind: client.EventConnected}, "connected"},
		{client.Event{Kind: client.EventLost, Err: why}, "lost"},
		{client.Event{Kind: client.EventLost, Err: why}, "login failed"},
		{client.Event{Kind: client.EventConnected}, "connected"},
		{client.Event{Kind: client.EventLost}, "closed"},
	} {
		if got := k.word(&row.event); got != row.want {
			t.Errorf("%d: %s, want %s", i, got, row.want)
		}
	}
}
