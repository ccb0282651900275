package amqpdoor

// spoolState says where the publishes of a connection go, and what is sent from
// the disk meanwhile.
//
//	state      what it waits for                  a new publish        sent from disk
//	straight   nothing                            to the broker        nothing is there
//	away       a broker that takes publishes      to disk              nothing
//	awaitWord  the broker's word on anything      to disk              one at a time
//	emptying   the end of what is on disk         behind that          up to the window
//	sifting    the one that closed the channel    behind that          one at a time
//	closed     nothing                            refused              nothing
//
// awaitWord is for a broker that is there and slow: a publish has no outcome
// within confirm_timeout. Its channel still has it, so it is not sent again; what
// comes is safe on disk and answered by it; and one message of those is sent at a
// time, which ends the state when only some queue was slow.
type spoolState uint8

const (
	spoolStraight spoolState = iota
	spoolAway
	spoolAwaitWord
	spoolEmptying
	spoolSifting
	spoolClosed
	spoolStates // their number
)

var spoolStateNames = [...]string{"straight", "away", "awaitWord", "emptying", "sifting", "closed"}

func (s spoolState) String() string { return spoolStateNames[s] }

// spoolEvent is something that may change the state. The first four happen; the
// others are looked at each time that the spooler does anything, in this order.
type spoolEvent uint8

const (
	spoolLate         spoolEvent = iota // a publish that has left has no outcome in time
	spoolWord                           // the broker has confirmed or refused one
	spoolChannelEnded                   // what was on a channel ended with it
	spoolClose                          // the door closes
	spoolTakesNone                      // no connection, or it blocks publishers
	spoolTakes                          // a publish would leave now
	spoolCulprit                        // one of those on disk has closed the channel, and it is not known which
	spoolCleared                        // none has
	spoolBacklog                        // something on disk is to be sent
	spoolEmptied                        // nothing is
	spoolEvents                         // their number
)

var spoolEventNames = [...]string{"late", "word", "channelEnded", "close", "takesNone", "takes", "culprit", "cleared", "backlog", "emptied"}

func (e spoolEvent) String() string { return spoolEventNames[e] }

// spoolTransitions is the whole machine: the state that follows.
var spoolTransitions = [spoolStates][spoolEvents]spoolState{
	spoolStraight: {
		spoolLate: spoolAwaitWord, spoolWord: spoolStraight, spoolChannelEnded: spoolStraight, spoolClose: spoolClosed,
		spoolTakesNone: spoolAway, spoolTakes: spoolStraight, spoolCulprit: spoolSifting, spoolCleared: spoolStraight,
		spoolBacklog: spoolEmptying, spoolEmptied: spoolStraight,
	},
	spoolAway: {
		spoolLate: spoolAway, spoolWord: spoolAway, spoolChannelEnded: spoolAway, spoolClose: spoolClosed,
		spoolTakesNone: spoolAway, spoolTakes: spoolEmptying, spoolCulprit: spoolAway, spoolCleared: spoolAway,
		spoolBacklog: spoolAway, spoolEmptied: spoolAway,
	},
	spoolAwaitWord: {
		spoolLate: spoolAwaitWord, spoolWord: spoolEmptying, spoolChannelEnded: spoolEmptying, spoolClose: spoolClosed,
		spoolTakesNone: spoolAway, spoolTakes: spoolAwaitWord, spoolCulprit: spoolAwaitWord, spoolCleared: spoolAwaitWord,
		spoolBacklog: spoolAwaitWord, spoolEmptied: spoolAwaitWord,
	},
	spoolEmptying: {
		spoolLate: spoolAwaitWord, spoolWord: spoolEmptying, spoolChannelEnded: spoolEmptying, spoolClose: spoolClosed,
		spoolTakesNone: spoolAway, spoolTakes: spoolEmptying, spoolCulprit: spoolSifting, spoolCleared: spoolEmptying,
		spoolBacklog: spoolEmptying, spoolEmptied: spoolStraight,
	},
	spoolSifting: {
		spoolLate: spoolAwaitWord, spoolWord: spoolSifting, spoolChannelEnded: spoolSifting, spoolClose: spoolClosed,
		spoolTakesNone: spoolAway, spoolTakes: spoolSifting, spoolCulprit: spoolSifting, spoolCleared: spoolEmptying,
		spoolBacklog: spoolSifting, spoolEmptied: spoolSifting,
	},
	spoolClosed: {
		spoolLate: spoolClosed, spoolWord: spoolClosed, spoolChannelEnded: spoolClosed, spoolClose: spoolClosed,
		spoolTakesNone: spoolClosed, spoolTakes: spoolClosed, spoolCulprit: spoolClosed, spoolCleared: spoolClosed,
		spoolBacklog: spoolClosed, spoolEmptied: spoolClosed,
	},
}

// window is how many messages of the disk may be under way and in time.
func (s spoolState) window() int {
	switch s {
	case spoolEmptying:
		return inFlightMax
	case spoolAwaitWord, spoolSifting:
		return 1
	}
	return 0
}

// isBehind reports whether publishes that come may wait in memory for the little
// that is left on disk.
func (s spoolState) isBehind() bool { return s == spoolEmptying || s == spoolSifting }
