package broker

import (
	"fmt"
	"slices"

	"zamqp/amqpproto"
)

// queueType is what queues of one type have in common. A new type is a file of its
// own with one of these, and a row in queueTypes.
type queueType struct {
	name   string // in x-queue-type
	module string // as errors of RabbitMQ name it

	// The arguments that RabbitMQ 3.10 knows, of queue.declare in the order in which
	// it compares them, and of basic.consume. What no type knows is kept and ignored.
	arguments         []string
	consumerArguments []string

	serverNamed        bool // the name may be left to the server
	conditionalDelete  bool // queue.delete may ask for if-unused and if-empty
	channelPrefetch    bool // the channel's prefetch, basic.qos with global, holds its deliveries
	exclusiveConsumers bool // basic.consume may ask for exclusive
	countsDeliveries   bool // x-delivery-count; the count outlives the process
	retiresAtOnce      bool // a consumer that is full leaves the rotation with its last message, else when its turn comes
	returnsFirst       bool // what comes back is delivered before the queue looks at its length

	queueBehavior
}

// queueBehavior is what a queue of a type does in its own way.
type queueBehavior interface {
	// checkProperties is the error for the flags of queue.declare.
	checkProperties(q *queue) error
	// read takes the values of arguments that only this type has.
	read(r *queueRules, args argumentValues)
	// lanes is how many lanes the backlog has, and laneOf is where a message comes
	// in that was delivered so often before.
	lanes(r *queueRules) int
	laneOf(q *queue, m *message, deliveries uint32) int
	// refuses says that m does not fit, where the queue does not drop its head.
	refuses(q *queue, m *message) bool
	// bringBack puts an entry back that was delivered. ended says that its channel
	// has ended; else a client has asked for it.
	bringBack(q *queue, e entry, ended bool)
}

// queueTypes is the types that clients can declare.
var queueTypes = map[string]*queueType{
	"classic": &classicType,
	"quorum":  &quorumType,
}

// streamArguments are those of a type that this broker does not have.
var streamArguments = []string{"x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size"}

// queueTypeOf looks at x-queue-type alone, which is checked before all other
// arguments. fault is "" or what is wrong with it, as RabbitMQ words it.
func queueTypeOf(args amqpproto.RawTable) (t *queueType, fault string) {
	f, ok := args.Lookup("x-queue-type")
	if !ok {
		return &classicType, ""
	}
	if fault := typeFault(f, amqpproto.FieldString); fault != "" {
		return &classicType, fault
	}
	if t := queueTypes[string(f.Raw)]; t != nil {
		return t, ""
	}
	return &classicType, fmt.Sprintf("\"unsupported queue type '%s'\"", f.Raw)
}

// others reports whether an argument belongs to other types and not to this one.
func (t *queueType) others(argument string) bool {
	if slices.Contains(t.arguments, argument) {
		return false
	}
	for _, o := range queueTypes {
		if slices.Contains(o.arguments, argument) {
			return true
		}
	}
	return slices.Contains(streamArguments, argument)
}
