package publisher

import (
	"errors"
	"fmt"
	"strings"
)

// A Topic is a name under which events reach clients: streams of server-sent events
// ([Events.Follow]) and WebSockets that subscribe to it. [Request.Broadcast] sends an event
// to all of them.
//
// A topic keeps its last events in memory, in the form in which they are sent, once for all
// clients. A client that is slower than the others gets them from there, and so does a
// client that comes back and says what its last event was. A client that is so slow that its
// next event is not kept any more is dropped: it never holds up the others, and it costs no
// memory of its own.
//
// The tags of a field say how [topic.NAME] of the configuration can set it: see [Settings].
type Topic struct {
	// Exchange is a fanout exchange that carries the events to all processes. Each process that
	// declares the topic has a queue of its own at it, which ends with its connection. Without an
	// exchange the events stay in this process.
	Exchange string
	// Connection is the [connection.NAME] of the exchange; "" is "default".
	Connection string

	// Events is how many of its last events the topic keeps; 0 is 1024.
	Events int `key:"events" min:"1" max:"1000000"`
	// Octets bounds the memory of the kept events; 0 is 1 MiB. An event with more than a
	// quarter of it is refused.
	Octets Size `key:"octets" min:"1KiB" max:"1GiB"`
	// NoHistory gives a client that comes back only the events from then on.
	NoHistory bool `not:"history"`
}

// Defaults of a [Topic].
const (
	TopicEvents      = 1024
	TopicOctets Size = 1 << 20
)

// eventShare is the part of Topic.Octets that one event may use at most.
const eventShare = 4

var topicKind = newKind[Topic]("topic", "AddTopic")

// AddTopic declares a topic. With an Exchange it also declares a producer and a consumer,
// both named "topic-" and the topic's name, which carry the events between processes. A bad
// or duplicate name panics.
func AddTopic(name string, t Topic) { Default.addTopic(name, t, caller(2)) }

// AddTopic is the package's [AddTopic] for this registry.
func (g *Registry) AddTopic(name string, t Topic) { g.addTopic(name, t, caller(2)) }

func (g *Registry) addTopic(name string, t Topic, place string) {
	if t.Connection != "" && t.Exchange == "" {
		panic(fmt.Sprintf("publisher: AddTopic(%q) at %s: it has a connection and no exchange: the events would stay in this process", name, place))
	}
	topicKind.add(g, name, t.WithDefaults(), nil, place)
	if t.Exchange != "" {
		producerKind.add(g, topicPrefix+name, t.producer(), nil, place)
		consumerKind.add(g, topicPrefix+name, t.consumer(), feed(name), place)
	}
}

// topicPrefix begins the names of a topic's producer and consumer.
const topicPrefix = "topic-"

// Topics returns the declared topics by name.
func (g *Registry) Topics() map[string]Topic { return topicKind.values(g) }

// Check finds no mistakes: the tags of the fields are all that has to be checked.
func (t Topic) Check() (key string, err error) { return "", nil }

// String describes the topic for people.
func (t Topic) String() string {
	t = t.WithDefaults()
	var b strings.Builder
	if t.Exchange != "" {
		fmt.Fprintf(&b, "by the exchange %s, ", t.Exchange)
	} else {
		b.WriteString("in this process, ")
	}
	fmt.Fprintf(&b, "keeps %d events in %s", t.Events, t.Octets)
	if t.NoHistory {
		b.WriteString(", without a history")
	}
	return b.String()
}

// producer carries the topic's events to its exchange.
func (t Topic) producer() Producer {
	return Producer{Connection: t.Connection, Exchange: t.Exchange, ExchangeType: "fanout", Codec: "json"}
}

// consumer gets the events from the exchange. Its queue ends with the connection. An event that
// cannot be sent is dropped, because nobody would read its dead-letter queue.
func (t Topic) consumer() Consumer {
	return Consumer{Connection: t.Connection, Exchange: t.Exchange, ExchangeType: "fanout", ServerNamed: true,
		Retry: Retry{Attempts: 1}, DeadLetter: "off"}
}

// WithDefaults returns t with the defaults for unset fields.
func (t Topic) WithDefaults() Topic {
	if t.Events == 0 {
		t.Events = TopicEvents
	}
	if t.Octets == 0 {
		t.Octets = TopicOctets
	}
	return t
}

// ErrSlow ends the subscription of a client that has not read the events of a topic as fast
// as they came.
var ErrSlow = errors.New("the client is too slow for the topic's events")

// A subscriber is a client that gets the events of a topic: a stream of server-sent events,
// or a WebSocket. It makes a [subscription] by topic.subscribe. Loop thread only. None of its
// methods may wait, and none may end a subscription.
type subscriber interface {
	// format says which form of an event deliver gets.
	format() eventFormat
	// deliver gives the client p, an event or the rest of one. It copies the n octets that it
	// takes. more reports whether the client can take more; n is then 1 at least. If it is false,
	// the subscriber calls subscription.room as soon as there is room.
	deliver(p []byte) (n int, more bool, err error)
	// dropped says that the subscription has ended, and why: [ErrSlow], a panic of the filter, or
	// the error of deliver. It is not called after subscription.end.
	dropped(cause error)
}

// eventFormat is a form in which events are sent. An event is encoded once in each form that a
// subscriber needs.
type eventFormat uint8

const (
	formatEventStream eventFormat = iota // text/event-stream
	formatMessage                        // a message of a WebSocket: see encodeMessage
	formats
)

// eventEncoders append an event in each form.
var eventEncoders = [formats]func(dst []byte, e *topicEvent) []byte{formatEventStream: appendEventStream, formatMessage: encodeMessage}
