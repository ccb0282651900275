package amqpdoor

import "testing"

// TestSpoolStates is the table in words: what each state does for each event that changes it.
// All other pairs leave the state as it is.
func TestSpoolStates(t *testing.T) {
	changes := map[spoolState]map[spoolEvent]spoolState{
		spoolStraight:  {spoolLate: spoolAwaitWord, spoolTakesNone: spoolAway, spoolCulprit: spoolSifting, spoolBacklog: spoolEmptying, spoolClose: spoolClosed},
		spoolAway:      {spoolTakes: spoolEmptying, spoolClose: spoolClosed},
		spoolAwaitWord: {spoolWord: spoolEmptying, spoolChannelEnded: spoolEmptying, spoolTakesNone: spoolAway, spoolClose: spoolClosed},
		spoolEmptying:  {spoolLate: spoolAwaitWord, spoolTakesNone: spoolAway, spoolCulprit: spoolSifting, spoolEmptied: spoolStraight, spoolClose: spoolClosed},
		spoolSifting:   {spoolLate: spoolAwaitWord, spoolTakesNone: spoolAway, spoolCleared: spoolEmptying, spoolClose: spoolClosed},
		spoolClosed:    {},
	}
	for s := range spoolStates {
		for e := range spoolEvents {
			want, ok := changes[s][e]
			if !ok {
				want = s
			}
			if got := spoolTransitions[s][e]; got != want {
				t.Errorf("%s and %s: %s, want %s", s, e, got, want)
			}
		}
	}
}

// TestSpoolStatesComeBack: every state but closed leads back to straight once the broker
// takes publishes, answers, and nothing is left. Reporting the same situation twice changes
// nothing the second time.
func TestSpoolStatesComeBack(t *testing.T) {
	for s := range spoolClosed {
		at := s
		for _, e := range []spoolEvent{spoolWord, spoolTakes, spoolCleared, spoolEmptied} {
			at = spoolTransitions[at][e]
		}
		if at != spoolStraight {
			t.Errorf("from %s: %s", s, at)
		}
		for _, look := range [][]spoolEvent{
			{spoolTakesNone}, {spoolTakes, spoolCulprit, spoolBacklog}, {spoolTakes, spoolCleared, spoolBacklog}, {spoolTakes, spoolCleared, spoolEmptied},
		} {
			once := s
			for _, e := range look {
				once = spoolTransitions[once][e]
			}
			twice := once
			for _, e := range look {
				twice = spoolTransitions[twice][e]
			}
			if twice != once {
				t.Errorf("%s looks twice at %v: %s, then %s", s, look, once, twice)
			}
		}
		if s.window() > 0 && s != spoolEmptying && s.window() != 1 {
			t.Errorf("%s sends %d at a time", s, s.window())
		}
	}
}

// TestFlightTransitions holds the promises that the table was made for.
func TestFlightTransitions(t *testing.T) {
	told := map[inFlightAction]bool{actionTell: true, actionTellGone: true, actionTellMaybe: true}
	waits := map[inFlightState]bool{inFlightSent: true, inFlightStoring: true, inFlightOrphaned: true}
	for s := range inFlightStates {
		for e := range inFlightEvents {
			step := inFlightTransitions[s][e]
			if step.action == actionIllegal {
				if step.to != inFlightFree {
					t.Errorf("%s and %s: illegal, and goes to %s", s, e, step.to)
				}
				continue
			}
			// A call gets its outcome once: by the step from a state in which it waits to one
			// in which it does not.
			handedOn := step.action == actionLost
			if told[step.action] != (waits[s] && !waits[step.to] && !handedOn) {
				t.Errorf("%s and %s: %s, then %s", s, e, step.action, step.to)
			}
			// Nothing is sent again while its channel may still bring the first copy to its
			// queue.
			if again := step.action == actionLost || step.action == actionAgain; again && e != inFlightUnanswered && e != inFlightChannelClosed {
				t.Errorf("%s and %s: it is sent again", s, e)
			}
			// Being late is not an outcome.
			if e == inFlightLate && step.to != s {
				t.Errorf("%s and late: %s", s, step.to)
			}
		}
	}
	// A publish that a channel has has a transition for each event of the channel.
	for _, s := range []inFlightState{inFlightSent, inFlightStoring, inFlightOwned, inFlightUnknown} {
		for _, e := range []inFlightEvent{inFlightConfirmed, inFlightRefused, inFlightUnanswered, inFlightChannelClosed, inFlightLate} {
			if inFlightTransitions[s][e].action == actionIllegal {
				t.Errorf("%s and %s: illegal", s, e)
			}
		}
	}
	// A publish on its way to disk has one for each event of the disk.
	for _, s := range []inFlightState{inFlightStoring, inFlightOrphaned, inFlightTold} {
		for _, e := range []inFlightEvent{inFlightStored, inFlightUnstored} {
			if inFlightTransitions[s][e].action == actionIllegal {
				t.Errorf("%s and %s: illegal", s, e)
			}
		}
	}
}
