package broker

import "zamqp/amqpproto"

// exchangeType is what exchanges of one type have in common. A new type is a file
// of its own with one of these, and a row in exchangeTypes.
type exchangeType struct {
	// newIndex makes the index of an exchange's bindings.
	newIndex func(x *exchange) bindingIndex
	// check is the error of a binding whose arguments make no sense; nil = all do.
	check func(args amqpproto.RawTable) error
	// keyed says that the routing key matters. Else one look is enough for a
	// message, whatever CC and BCC say.
	keyed bool
	// units is the cost of looking at one of the bindings that are found.
	units int
}

// bindingIndex is the bindings of an exchange as its type finds them.
type bindingIndex interface {
	add(b *binding)
	remove(b *binding)
	// match gives to whatever lists of bindings take messages with this routing key.
	// Where a binding has a rule, the rule has to agree as well.
	match(key []byte, to follower)
}

// follower takes the bindings that match. A list is not empty, and is the index's.
type follower interface {
	follow(list []*binding)
}

// bindingRule is what a binding asks of a message besides the routing key.
type bindingRule interface {
	fits(headers amqpproto.RawTable) bool
}

// exchangeTypes is the types that clients can declare.
var exchangeTypes = map[string]*exchangeType{
	"direct":  &directType,
	"fanout":  &fanoutType,
	"topic":   &topicType,
	"headers": &headersType,
}

// typeOf is the type of this name. An exchange of a type that this version does not
// know can only come from the store; it routes nothing.
func typeOf(kind string) *exchangeType {
	if t := exchangeTypes[kind]; t != nil {
		return t
	}
	return &unknownType
}

var unknownType = exchangeType{newIndex: func(*exchange) bindingIndex { return noIndex{} }}

type noIndex struct{}

func (noIndex) add(*binding)           {}
func (noIndex) remove(*binding)        {}
func (noIndex) match([]byte, follower) {}
