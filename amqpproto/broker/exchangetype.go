package broker

import "zamqp/amqpproto"

// exchangeType has what all exchanges of one type have in common. A new type is a file with
// one of these, and a row in exchangeTypes.
type exchangeType struct {
	// newIndex makes the index of an exchange's bindings.
	newIndex func(x *exchange) bindingIndex
	// check returns an error if the arguments of a binding make no sense. nil accepts all
	// arguments.
	check func(args amqpproto.RawTable) error
	// keyed says that the routing key matters. If it does not, a message is matched only
	// once, whatever its CC and BCC are.
	keyed bool
	// units is the cost of checking one of the bindings that match.
	units int
}

// bindingIndex has the bindings of an exchange in the form that its type searches.
type bindingIndex interface {
	add(b *binding)
	remove(b *binding)
	// match gives follower the lists of bindings that take messages with this
	// routing key. If a binding has a rule, the rule has to agree as well.
	match(key []byte, to follower)
}

// follower receives the bindings that match. A list is never empty; it belongs to the index.
type follower interface {
	follow(list []*binding)
}

// bindingRule is what a binding requires of a message in addition to the routing key.
type bindingRule interface {
	fits(headers amqpproto.RawTable) bool
}

// exchangeTypes lists the types that clients can declare.
var exchangeTypes = map[string]*exchangeType{
	"direct":  &directType,
	"fanout":  &fanoutType,
	"topic":   &topicType,
	"headers": &headersType,
}

// typeOf returns the type with this name. A type that this version does not know
// can only come from the store; its exchanges route nothing.
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
