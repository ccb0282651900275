package broker

import (
	"bytes"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// prefixIndex finds bindings whose key begins the routing key.
type prefixIndex struct{ x *exchange }

func (prefixIndex) add(b *binding)  { b.rule = wantsHeader("a") }
func (prefixIndex) remove(*binding) {}

func (p prefixIndex) match(key []byte, to follower) {
	for i, b := range p.x.bindings {
		if bytes.HasPrefix(key, []byte(b.key)) {
			to.follow(p.x.bindings[i : i+1])
		}
	}
}

// wantsHeader is a rule: the message has this header.
type wantsHeader string

func (w wantsHeader) fits(headers amqpproto.RawTable) bool {
	_, ok := headers.Lookup(string(w))
	return ok
}

// TestAnExchangeTypeIsARow: a type that is in the table, and nowhere else, is
// declared, bound, unbound, checked, and routes.
func TestAnExchangeTypeIsARow(t *testing.T) {
	exchangeTypes["x-prefix"] = &exchangeType{
		newIndex: func(x *exchange) bindingIndex { return prefixIndex{x} },
		check: func(args amqpproto.RawTable) error {
			if len(args) > 0 {
				return precondition("no arguments")
			}
			return nil
		},
		keyed: true,
		units: matchUnits,
	}
	defer delete(exchangeTypes, "x-prefix")
	b := newBench(t)
	if _, err := b.v.declareExchange(exchangeSpec{name: "x", kind: "x-prefix"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		b.queue(name, nil)
	}
	b.bind("a", "x", "or", nil)
	b.bind("b", "x", "order.", nil)
	b.bind("c", "x", "bill.", nil)
	with := amqp.Table{"a": "is there"}
	wantRoute(t, b.routed("x", "order.created", with), "a b")
	wantRoute(t, b.routed("x", "order.created", nil), "")
	wantRoute(t, b.routed("x", "oral", amqp.Table{"a": "is there", "CC": []any{"bill.paid"}}), "a c")
	if err := b.v.unbindQueue([]byte("a"), []byte("x"), []byte("or"), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantRoute(t, b.routed("x", "order.created", with), "b")
	err := b.v.bindQueue([]byte("a"), []byte("x"), nil, rawTable(t, amqp.Table{"any": "thing"}), nil)
	wantFault(t, err, 406, "no arguments")

	// Routing in more than one slice gives the same result.
	r := b.v.newRouting(b.v.exchanges["x"], &publishing{key: []byte("order.created")})
	b.s.refill(b.s.now())
	r.headers = rawTable(t, with)
	if !r.step(b.s) || len(r.queues) != 1 || r.queues[0].name != "b" {
		t.Errorf("in slices it is routed to %v", r.queues)
	}
}

// TestUnknownExchangeTypeOfTheStore: an exchange of an unknown type routes nothing, and can be
// deleted.
func TestUnknownExchangeTypeOfTheStore(t *testing.T) {
	b := newBench(t)
	b.v.makeExchange(exchangeSpec{name: "x", kind: "x-of-the-future"})
	b.queue("q", nil)
	b.bind("q", "x", "k", nil)
	wantRoute(t, b.routed("x", "k", nil), "")
	if err := b.v.deleteExchange([]byte("x"), false); err != nil {
		t.Fatal(err)
	}
}
