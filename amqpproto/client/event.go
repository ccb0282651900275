package client

import "time"

// Wire is what a Conn needs from its socket. All three return at once. Lost is called
// later, never inside them.
type Wire interface {
	Wake()             // take another turn: Feed kept input, Tick, flush
	Close()            // flush, then close in order
	Abort(cause error) // close without flushing
}

// Host is what a Client needs from its owner.
type Host interface {
	// Redial asks for a new socket after a delay: dial, then call Client.Connect or
	// Client.DialFailed. It is not called again before one of them was called.
	Redial(after time.Duration)
	// Note reports an event of the connection, for log and metrics.
	Note(Event)
}

// EventKind says what has happened.
type EventKind uint8

// The kinds, with the fields of Event that they fill besides Connection.
const (
	EventConnected             EventKind = iota + 1 // open; Text is the broker's product and version
	EventReady                                      // every registration has had its turn; publishes are sent
	EventLost                                       // Err, After; nil Err after Close
	EventDialFailed                                 // Err, After
	EventBlocked                                    // Text is the broker's reason; publishes wait
	EventUnblocked                                  // publishes are sent again
	EventConsumerUp                                 // Name, Text is the queue
	EventConsumerFailed                             // Name, Err, After
	EventConsumerCancelled                          // by the broker; Name, After
	EventProducerUp                                 // Name
	EventProducerFailed                             // Name, Err, After
	EventPublishChannelClosed                       // Err; After is zero when it is opened again at once
	EventReturned                                   // Err is the *ReturnError; Text says so if no publish was found for it
	EventConsumerPaused                             // Name
	EventRequestChannelClosed                       // Err; After is zero when it is opened again at once or at the next request
	EventSecretUpdated                              // the broker has accepted the new one
	EventPublishChannelRenewed                      // Err is why: the broker does not serve the old one
)

var eventNames = [...]string{
	EventConnected: "connected", EventReady: "ready", EventLost: "lost", EventDialFailed: "dial failed",
	EventBlocked: "blocked", EventUnblocked: "unblocked",
	EventConsumerUp: "consumer up", EventConsumerFailed: "consumer failed", EventConsumerCancelled: "consumer cancelled",
	EventProducerUp: "producer up", EventProducerFailed: "producer failed",
	EventPublishChannelClosed: "publish channel closed", EventReturned: "returned",
	EventConsumerPaused: "consumer paused", EventRequestChannelClosed: "call channel closed", EventSecretUpdated: "secret updated",
	EventPublishChannelRenewed: "publish channel renewed",
}

func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown event"
}

// Event is one thing that happened to a connection.
type Event struct {
	Kind       EventKind
	Connection string        // Config.Name
	Name       string        // name of the consumer or producer, if it is about one
	Text       string        // see the kinds
	Err        error         // the reason
	After      time.Duration // time until the next attempt
}
