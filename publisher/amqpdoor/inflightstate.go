package amqpdoor

import "fmt"

// inFlightState says what a publish in flight waits for, and who waits for it.
//
//	state     the publish                        its call waits for
//	sent      is with the channel                the broker
//	storing   is with the channel, goes to disk  the broker or the disk, whoever is first
//	owned     is with the channel and on disk    nothing: it has its answer
//	orphaned  goes to disk, its channel ended    the disk
//	told      goes to disk and leaves it again   nothing: the broker has answered
//	unknown   is with the channel only           nothing: its answer was that the outcome is unknown
//	free      nothing
type inFlightState uint8

const (
	inFlightFree inFlightState = iota
	inFlightSent
	inFlightStoring
	inFlightOwned
	inFlightOrphaned
	inFlightTold
	inFlightUnknown
	inFlightStates // their number
)

var inFlightStateNames = [...]string{"free", "sent", "storing", "owned", "orphaned", "told", "unknown"}

func (s inFlightState) String() string { return inFlightStateNames[s] }

// An inFlightEvent is what a publish in flight hears from the broker or from the disk.
type inFlightEvent uint8

const (
	inFlightConfirmed     inFlightEvent = iota
	inFlightRefused                     // returned, nacked, or impossible to send
	inFlightUnanswered                  // its channel or connection ended, or it was never sent
	inFlightChannelClosed               // the broker closed the channel, for this publish or for another
	inFlightLate                        // no outcome in time
	inFlightWritten                     // handed to the disk
	inFlightStored                      // on disk
	inFlightUnstored                    // it could not be stored
	inFlightEvents                      // their number
)

var inFlightEventNames = [...]string{"confirmed", "refused", "unanswered", "channel closed", "late", "written", "stored", "unstored"}

func (e inFlightEvent) String() string { return inFlightEventNames[e] }

// An inFlightAction is what is done about an event.
type inFlightAction uint8

const (
	actionIllegal inFlightAction = iota // cannot be
	actionNothing
	actionTell      // the call hears the outcome
	actionTellGone  // the same, and the disk may forget the publish
	actionTellMaybe // the call is told that the outcome is unknown
	actionStore     // it goes to disk, and stays with its channel
	actionLost      // it goes to disk
	actionRelist    // it does not go to disk: wait for the broker's answer
	actionGone      // the disk may forget it
	actionReject    // it is put among the rejected
	actionAgain     // it is sent again, from the disk
)

var inFlightActionNames = [...]string{"illegal", "nothing", "tell", "tellGone", "tellMaybe", "store", "lost", "relist", "gone", "reject", "again"}

func (d inFlightAction) String() string { return inFlightActionNames[d] }

// An inFlightStep is an action and the state that follows it.
type inFlightStep struct {
	action inFlightAction
	to     inFlightState
}

// inFlightTransitions is the whole machine. A publish is sent again only after actionLost and
// actionAgain, and so only after inFlightUnanswered and inFlightChannelClosed. It is never
// sent again while its channel may still bring it to its queue.
var inFlightTransitions = [inFlightStates][inFlightEvents]inFlightStep{
	inFlightSent: {
		inFlightConfirmed: {actionTell, inFlightFree}, inFlightRefused: {actionTell, inFlightFree}, inFlightChannelClosed: {actionTell, inFlightFree},
		inFlightUnanswered: {actionLost, inFlightFree}, inFlightLate: {actionStore, inFlightSent},
		inFlightWritten: {actionNothing, inFlightStoring}, inFlightUnstored: {actionTellMaybe, inFlightUnknown},
	},
	inFlightStoring: {
		inFlightConfirmed: {actionTellGone, inFlightTold}, inFlightRefused: {actionTellGone, inFlightTold}, inFlightChannelClosed: {actionAgain, inFlightOrphaned},
		inFlightUnanswered: {actionAgain, inFlightOrphaned}, inFlightLate: {actionNothing, inFlightStoring},
		inFlightStored: {actionTell, inFlightOwned}, inFlightUnstored: {actionRelist, inFlightSent},
	},
	inFlightOwned: {
		inFlightConfirmed: {actionGone, inFlightFree}, inFlightRefused: {actionReject, inFlightFree}, inFlightChannelClosed: {actionAgain, inFlightFree},
		inFlightUnanswered: {actionAgain, inFlightFree}, inFlightLate: {actionNothing, inFlightOwned},
	},
	inFlightOrphaned: {
		inFlightStored: {actionTell, inFlightFree}, inFlightUnstored: {actionTellMaybe, inFlightFree},
	},
	inFlightTold: {
		inFlightStored: {actionNothing, inFlightFree}, inFlightUnstored: {actionNothing, inFlightFree},
	},
	inFlightUnknown: {
		inFlightConfirmed: {actionNothing, inFlightFree}, inFlightRefused: {actionNothing, inFlightFree}, inFlightChannelClosed: {actionNothing, inFlightFree},
		inFlightUnanswered: {actionNothing, inFlightFree}, inFlightLate: {actionNothing, inFlightUnknown},
	},
}

// illegal names the state and the event that cannot come together.
func illegal(s inFlightState, e inFlightEvent) error {
	return fmt.Errorf("a publish in the state %s has got the event %s: please report this", s, e)
}
