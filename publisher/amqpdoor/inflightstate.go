package amqpdoor

import "fmt"

// flightState says what a publish on its way waits for, and who waits for it.
//
//	state     the publish                        its call waits for
//	sent      is with the channel                the broker
//	storing   is with the channel, goes to disk  the broker or the disk, whoever is first
//	owned     is with the channel and on disk    nobody: it was told
//	ashore    goes to disk, its channel ended    the disk
//	told      goes to disk and leaves it again   nobody: the broker has told it
//	unknown   is with the channel only           nobody: it was told that nobody knows
//	free      nothing
type flightState uint8

const (
	flightFree flightState = iota
	flightSent
	flightStoring
	flightOwned
	flightAshore
	flightTold
	flightUnknown
	flightStates // their number
)

var flightStateNames = [...]string{"free", "sent", "storing", "owned", "ashore", "told", "unknown"}

func (s flightState) String() string { return flightStateNames[s] }

// flightEvent is what a flight hears, of the broker or of the disk.
type flightEvent uint8

const (
	flightConfirmed  flightEvent = iota
	flightRefused                // returned, nacked, or nothing that could be sent
	flightUnanswered             // its channel or connection ended, or it has never left
	flightGuilty                 // the broker closed the channel, for this publish or for another
	flightLate                   // no outcome in time
	flightWritten                // handed to the disk
	flightStored                 // on disk
	flightUnstored               // it will not be
	flightEvents                 // their number
)

var flightEventNames = [...]string{"confirmed", "refused", "unanswered", "guilty", "late", "written", "stored", "unstored"}

func (e flightEvent) String() string { return flightEventNames[e] }

// flightDeed is what is done about it.
type flightDeed uint8

const (
	deedIllegal flightDeed = iota // cannot be
	deedNothing
	deedTell      // the call hears the outcome
	deedTellGone  // the same, and the disk may forget the publish
	deedTellMaybe // the call hears that nobody knows
	deedStore     // it goes to disk, and stays with its channel
	deedLost      // it goes to disk
	deedRelist    // it does not: the broker's word is waited for
	deedGone      // the disk may forget it
	deedAside     // it is put aside
	deedAgain     // it is sent again, from the disk
)

var flightDeedNames = [...]string{"illegal", "nothing", "tell", "tellGone", "tellMaybe", "store", "lost", "relist", "gone", "aside", "again"}

func (d flightDeed) String() string { return flightDeedNames[d] }

// flightStep is a deed and the state that follows it.
type flightStep struct {
	deed flightDeed
	to   flightState
}

// flightTransitions is the whole machine. A publish is sent again after deedLost
// and deedAgain only, and so after flightUnanswered and flightGuilty: never while
// its channel may still bring it to its queue.
var flightTransitions = [flightStates][flightEvents]flightStep{
	flightSent: {
		flightConfirmed: {deedTell, flightFree}, flightRefused: {deedTell, flightFree}, flightGuilty: {deedTell, flightFree},
		flightUnanswered: {deedLost, flightFree}, flightLate: {deedStore, flightSent},
		flightWritten: {deedNothing, flightStoring}, flightUnstored: {deedTellMaybe, flightUnknown},
	},
	flightStoring: {
		flightConfirmed: {deedTellGone, flightTold}, flightRefused: {deedTellGone, flightTold}, flightGuilty: {deedAgain, flightAshore},
		flightUnanswered: {deedAgain, flightAshore}, flightLate: {deedNothing, flightStoring},
		flightStored: {deedTell, flightOwned}, flightUnstored: {deedRelist, flightSent},
	},
	flightOwned: {
		flightConfirmed: {deedGone, flightFree}, flightRefused: {deedAside, flightFree}, flightGuilty: {deedAgain, flightFree},
		flightUnanswered: {deedAgain, flightFree}, flightLate: {deedNothing, flightOwned},
	},
	flightAshore: {
		flightStored: {deedTell, flightFree}, flightUnstored: {deedTellMaybe, flightFree},
	},
	flightTold: {
		flightStored: {deedNothing, flightFree}, flightUnstored: {deedNothing, flightFree},
	},
	flightUnknown: {
		flightConfirmed: {deedNothing, flightFree}, flightRefused: {deedNothing, flightFree}, flightGuilty: {deedNothing, flightFree},
		flightUnanswered: {deedNothing, flightFree}, flightLate: {deedNothing, flightUnknown},
	},
}

// illegal says which pair was met that cannot be.
func illegal(s flightState, e flightEvent) error {
	return fmt.Errorf("a publish that is %s has heard %s: please report this", s, e)
}
