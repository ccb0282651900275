package amqpdoor

// spoolState says where the publishes of a connection go, and how much is sent from the
// disk at the same time.
//
//	state      what it waits for                  a new publish        sent from disk
//	straight   nothing                            to the broker        the disk is empty
//	away       a broker that takes publishes      to disk              nothing
//	awaitWord  an outcome of any publish          to disk              one at a time
//	emptying   the disk to become empty           behind the disk      up to the window
//	sifting    the publish that closed the        behind the disk      one at a time
//	           channel to be found
//	closed     nothing                            refused              nothing
//
// awaitWord is for a broker that is connected but slow: a publish has no outcome within
// confirm_timeout. The publish is still on its channel, so it is not sent again. New
// publishes go to the disk, and their calls are answered when they are stored. One message
// at a time is sent from the disk: if only one queue was slow, its outcome ends the state.
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

// spoolEvent is something that may change the state. The first four are reported when they
// happen. The spooler checks the others in this order each time that it does anything.
type spoolEvent uint8

const (
	spoolLate         spoolEvent = iota // a publish that was sent has no outcome in time
	spoolWord                           // the broker has confirmed or refused one
	spoolChannelEnded                   // a channel ended, and its publishes with it
	spoolClose                          // the door closes
	spoolTakesNone                      // no connection, or it blocks publishers
	spoolTakes                          // a publish would leave now
	spoolCulprit                        // a message from the disk closed the channel, and it is not known which one
	spoolCleared                        // none of them did
	spoolBacklog                        // there is something on the disk to send
	spoolEmptied                        // there is nothing on the disk to send
	spoolEvents                         // their number
)

var spoolEventNames = [...]string{"late", "word", "channelEnded", "close", "takesNone", "takes", "culprit", "cleared", "backlog", "emptied"}

func (e spoolEvent) String() string { return spoolEventNames[e] }

// spoolTransitions is the whole machine: it gives the next state.
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

// window is how many messages from the disk may be in flight and not late.
func (s spoolState) window() int {
	switch s {
	case spoolEmptying:
		return inFlightMax
	case spoolAwaitWord, spoolSifting:
		return 1
	}
	return 0
}

// isBehind reports whether new publishes may wait in memory until the little that is left
// on the disk has been sent.
func (s spoolState) isBehind() bool { return s == spoolEmptying || s == spoolSifting }
