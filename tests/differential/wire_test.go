package differential_test

import (
	"slices"
	"testing"

	"zamqp/tests/rabbitmq"
)

// known are broken octets and handshakes that the brokers answer differently, on
// purpose or because RabbitMQ's answer is an accident; docs/guide/broker-differences.md
// has the reasons. Random programs leave them out.
var known = map[string]bool{}

// comparable are the names of a table without the known differences.
func comparable[V any](m map[string]V) []string {
	return slices.DeleteFunc(names(m), func(name string) bool { return known[name] })
}

// TestWire sends each kind of broken octets, and begins a connection in each
// way, once.
func TestWire(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ")
	}
	p := pairs(t, rabbitmq.Shared(t))[0]
	check := func(do, kind string) {
		t.Run(do+"/"+kind, func(t *testing.T) {
			program := []*operation{
				{do: "queue.declare", channel: 1, queue: "@q1"},
				{do: do, channel: 1, kind: kind},
				{do: "publish", channel: 1, key: "@q1", size: 10},
			}
			if do == "handshake" {
				program = program[1:2]
			}
			left, right := p.both(program, false)
			if same := left.equal(right); same && known[kind] {
				t.Errorf("%s is the same on both brokers now; take it off the list and out of the documentation:\n%v", kind, left)
			} else if !same && !known[kind] {
				t.Errorf("\n%s", beside(p.reference.name, p.subject.name, left, right))
			}
		})
	}
	for _, kind := range names(broken) {
		check("raw", kind)
	}
	for _, kind := range names(handshakes) {
		check("handshake", kind)
	}
}
