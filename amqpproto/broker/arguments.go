package broker

import (
	"fmt"
	"slices"
	"strings"

	"zamqp/amqpproto"
)

// queueRules are the decoded arguments of a queue.
type queueRules struct {
	typ           *queueType
	sac           bool  // x-single-active-consumer
	ttl           int64 // x-message-ttl, milliseconds; -1 = none
	expires       int64 // x-expires, milliseconds; 0 = none
	maxLength     int64 // -1 = none
	maxBytes      int64 // -1 = none
	maxPriority   int16 // -1 = none
	deliveryLimit int64 // x-delivery-limit of a quorum queue; -1 = none
	overflow      overflow
	deadLetters   bool   // the queue has an x-dead-letter-exchange
	deadExchange  string // may be "", the default exchange
	hasDeadKey    bool
	deadKey       string // x-dead-letter-routing-key
}

// overflow is what happens to a message that does not fit.
type overflow uint8

const (
	dropHead overflow = iota
	rejectPublish
	rejectPublishDLX
)

var exchangeArguments = []string{"alternate-exchange"}

// argument is a check of one argument. fault returns what is wrong, in RabbitMQ's words, or
// "".
type argument struct {
	name  string
	fault func(f amqpproto.Field, all amqpproto.RawTable) string
}

// checked are the checks of queue.declare, in the order in which they are made.
var checked = []argument{
	{"x-expires", func(f amqpproto.Field, _ amqpproto.RawTable) string {
		if n, ok := f.Int(); ok && n == 0 {
			return "{value_zero,0}"
		}
		return durationFault(f)
	}},
	{"x-message-ttl", func(f amqpproto.Field, _ amqpproto.RawTable) string { return durationFault(f) }},
	{"x-dead-letter-exchange", func(f amqpproto.Field, _ amqpproto.RawTable) string {
		return typeFault(f, amqpproto.FieldString)
	}},
	{"x-dead-letter-routing-key", func(f amqpproto.Field, all amqpproto.RawTable) string {
		if _, ok := all.Lookup("x-dead-letter-exchange"); !ok && f.Type == amqpproto.FieldString {
			return "routing_key_but_no_dlx_defined"
		}
		return typeFault(f, amqpproto.FieldString)
	}},
	{"x-dead-letter-strategy", oneOf("invalid_dlx_strategy", "at-most-once", "at-least-once")},
	{"x-max-length", sizeFault},
	{"x-max-length-bytes", sizeFault},
	{"x-max-in-memory-length", sizeFault},
	{"x-max-in-memory-bytes", sizeFault},
	{"x-max-priority", func(f amqpproto.Field, all amqpproto.RawTable) string {
		if n, _ := f.Int(); n > 255 {
			return fmt.Sprintf("{max_value_exceeded,%d}", n)
		}
		return sizeFault(f, all)
	}},
	{"x-overflow", oneOf("invalid_overflow", "drop-head", "reject-publish", "reject-publish-dlx")},
	{"x-queue-mode", oneOf("\"unsupported queue mode '%s'\"", "default", "lazy")},
	{"x-queue-version", func(f amqpproto.Field, all amqpproto.RawTable) string {
		if n, ok := f.Int(); ok && n >= 0 && n != 1 && n != 2 {
			return fmt.Sprintf("\"unsupported queue version '%d'\"", n)
		}
		return sizeFault(f, all)
	}},
	{"x-single-active-consumer", func(f amqpproto.Field, _ amqpproto.RawTable) string {
		return typeFault(f, amqpproto.FieldBool)
	}},
	{"x-quorum-initial-group-size", func(f amqpproto.Field, all amqpproto.RawTable) string {
		if n, ok := f.Int(); ok && n == 0 {
			return "{value_zero,0}"
		}
		return sizeFault(f, all)
	}},
	{"x-queue-leader-locator", oneOf("invalid_queue_locator_arg", "client-local", "balanced", "random", "least-leaders")},
}

// oneOf checks that an argument is one of some strings. fault may have a %s for the value
// that was sent.
func oneOf(fault string, values ...string) func(amqpproto.Field, amqpproto.RawTable) string {
	return func(f amqpproto.Field, _ amqpproto.RawTable) string {
		switch {
		case f.Type != amqpproto.FieldString:
			return typeFault(f, amqpproto.FieldString)
		case slices.Contains(values, string(f.Raw)):
			return ""
		case strings.Contains(fault, "%s"):
			return fmt.Sprintf(fault, f.Raw)
		}
		return fault
	}
}

func typeFault(f amqpproto.Field, want byte) string {
	if f.Type != want {
		return "{unacceptable_type," + typeName(f.Type) + "}"
	}
	return ""
}

func intFault(f amqpproto.Field) string {
	if _, ok := f.Int(); !ok {
		return "\"expected integer, got " + typeName(f.Type) + "\""
	}
	return ""
}

func sizeFault(f amqpproto.Field, _ amqpproto.RawTable) string {
	if n, ok := f.Int(); ok && n < 0 {
		return fmt.Sprintf("{value_negative,%d}", n)
	}
	return intFault(f)
}

func durationFault(f amqpproto.Field) string {
	if n, ok := f.Int(); ok && n > expirationMax {
		return fmt.Sprintf("{value_too_large,%d}", n)
	}
	return sizeFault(f, nil)
}

// nameArgument returns the 406 for an argument that should be the name of an exchange and is
// not a string.
func nameArgument(args amqpproto.RawTable, name, of string) error {
	if f, ok := args.Lookup(name); ok && f.Type != amqpproto.FieldString {
		return precondition("invalid type '%s' for arg '%s' in %s", typeName(f.Type), name, of)
	}
	return nil
}

// rules checks the properties and arguments of a queue and decodes them. Errors are
// ChannelErrors 406.
func (q *queue) rules() (r queueRules, err error) {
	if err := q.args.Validate(); err != nil {
		return r, err
	}
	if err := nameArgument(q.args, "x-dead-letter-exchange", q.String()); err != nil {
		return r, err
	}
	fault := ""
	if r.typ, fault = queueTypeOf(q.args); fault != "" {
		return r, precondition("invalid arg 'x-queue-type' for %s: %s", q, fault)
	}
	if err := checkArguments(q.args, checked, r.typ.arguments, q); err != nil {
		return r, err
	}
	_ = q.args.Each(func(key []byte, _ amqpproto.Field) bool {
		if r.typ.others(string(key)) {
			err = precondition("invalid arg '%s' for %s of queue type %s", key, q, r.typ.module)
		}
		return err == nil
	})
	if err != nil {
		return r, err
	}
	if err := r.typ.checkProperties(q); err != nil {
		return r, err
	}
	r.read(q.args)
	return r, nil
}

// checkArguments makes the checks in list for arguments whose names are in known.
func checkArguments(args amqpproto.RawTable, list []argument, known []string, of fmt.Stringer) error {
	for _, a := range list {
		f, ok := args.Lookup(a.name)
		if !ok || !slices.Contains(known, a.name) {
			continue
		}
		if fault := a.fault(f, args); fault != "" {
			return precondition("invalid arg '%s' for %s: %s", a.name, of, fault)
		}
	}
	return nil
}

// argumentValues are arguments that have been checked.
type argumentValues amqpproto.RawTable

func (v argumentValues) number(name string, none int64) int64 {
	if f, ok := amqpproto.RawTable(v).Lookup(name); ok {
		if n, ok := f.Int(); ok {
			return n
		}
	}
	return none
}

func (v argumentValues) text(name string) (string, bool) {
	f, ok := amqpproto.RawTable(v).Lookup(name)
	return string(f.Raw), ok
}

// read decodes the values of arguments that have been checked.
func (r *queueRules) read(args amqpproto.RawTable) {
	v := argumentValues(args)
	r.ttl = v.number("x-message-ttl", -1)
	r.expires = v.number("x-expires", 0)
	r.maxLength = v.number("x-max-length", -1)
	r.maxBytes = v.number("x-max-length-bytes", -1)
	r.maxPriority, r.deliveryLimit = -1, -1
	if f, ok := args.Lookup("x-single-active-consumer"); ok {
		r.sac, _ = f.Bool()
	}
	r.deadExchange, r.deadLetters = v.text("x-dead-letter-exchange")
	r.deadKey, r.hasDeadKey = v.text("x-dead-letter-routing-key")
	if how, _ := v.text("x-overflow"); how == "reject-publish" {
		r.overflow = rejectPublish
	}
	r.typ.read(r, v)
}

// consumerArguments checks the arguments of basic.consume and returns
// x-priority.
func (q *queue) consumerArguments(args amqpproto.RawTable) (priority int32, err error) {
	known := q.typ.consumerArguments
	list := []argument{
		{"x-priority", func(f amqpproto.Field, _ amqpproto.RawTable) string { return intFault(f) }},
		{"x-cancel-on-ha-failover", func(f amqpproto.Field, _ amqpproto.RawTable) string {
			return typeFault(f, amqpproto.FieldBool)
		}},
	}
	if err := checkArguments(args, list, known, q); err != nil {
		return 0, err
	}
	for _, name := range [...]string{"x-cancel-on-ha-failover", "x-stream-offset"} {
		if _, ok := args.Lookup(name); ok && !slices.Contains(known, name) {
			return 0, precondition("invalid arg '%s' for %s of queue type %s", name, q, q.typ.module)
		}
	}
	if f, ok := args.Lookup("x-priority"); ok {
		n, _ := f.Int()
		priority = int32(max(min(n, 1<<31-1), -1<<31))
	}
	return priority, nil
}
