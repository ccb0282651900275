package broker

import (
	"fmt"
	"slices"

	"zamqp/amqpproto"
)

// queueType has what queues of one type have in common. A new type is a file with one of
// these, and a row in queueTypes.
type queueType struct {
	name   string // its name in x-queue-type
	module string // the name in RabbitMQ's errors

	// The arguments that RabbitMQ 3.10 knows: of queue.declare, in the order in which it
	// compares them, and of basic.consume. Arguments that no type knows are kept and ignored.
	arguments         []string
	consumerArguments []string

	serverNamed        bool // the server may choose the name
	conditionalDelete  bool // queue.delete may have if-unused and if-empty
	channelPrefetch    bool // the channel's prefetch, basic.qos with global, applies to its deliveries
	exclusiveConsumers bool // basic.consume may have exclusive
	countsDeliveries   bool // it has x-delivery-count, and the count outlives the process
	retiresAtOnce      bool // a full consumer leaves the rotation with its last message, otherwise when its turn comes
	returnsFirst       bool // returned messages are delivered before the queue checks its length

	queueBehavior
}

// queueBehavior is what differs between the types of queues.
type queueBehavior interface {
	// checkProperties returns the error for the flags of queue.declare.
	checkProperties(q *queue) error
	// read decodes the values of arguments that only this type has.
	read(r *queueRules, args argumentValues)
	// lanes returns how many lanes the backlog has. laneOf returns the lane of a message that
	// was delivered that often before.
	lanes(r *queueRules) int
	laneOf(q *queue, m *message, deliveries uint32) int
	// refuses reports whether m does not fit, for a queue that does not drop its head.
	refuses(q *queue, m *message) bool
	// bringBack puts a delivered entry back. With ended its channel has ended, otherwise a
	// client has asked for it.
	bringBack(q *queue, e entry, ended bool)
}

// queueTypes has the types that clients can declare.
var queueTypes = map[string]*queueType{
	"classic": &classicType,
	"quorum":  &quorumType,
}

// streamArguments are the arguments of a type that this broker does not have.
var streamArguments = []string{"x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size"}

// queueTypeOf looks only at x-queue-type, which is checked before all other arguments. fault
// says what is wrong with it, in RabbitMQ's words, or is "".
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
