package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/streadway/amqp"
)

// routed is where a message would go: the names, sorted.
func (b *bench) routed(exchange, key string, headers amqp.Table) string {
	b.t.Helper()
	before := map[string]int{}
	for name, q := range b.v.queues {
		before[name] = q.messages()
	}
	b.publish(exchange, key, amqp.Publishing{Headers: headers})
	var names []string
	for name, q := range b.v.queues {
		switch n := q.messages() - before[name]; n {
		case 0:
		case 1:
			names = append(names, name)
		default:
			b.t.Errorf("%s got it %d times", name, n)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func wantRoute(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("routed to %q, want %q", got, want)
	}
}

func TestRoute(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		b.queue(name, nil)
	}
	wantRoute(t, b.routed("", "a", nil), "a")
	wantRoute(t, b.routed("", "none", nil), "")
	wantRoute(t, b.routed("", "a", amqp.Table{"CC": []any{"b", "a", int32(3)}, "BCC": []any{"c", "none"}}), "a b c")

	b.bind("a", "amq.direct", "k", nil)
	b.bind("a", "amq.direct", "k", amqp.Table{"another": "one"}) // two bindings, one copy
	b.bind("b", "amq.direct", "k", nil)
	b.bind("b", "amq.direct", "other", nil)
	wantRoute(t, b.routed("amq.direct", "k", nil), "a b")
	wantRoute(t, b.routed("amq.direct", "other", nil), "b")
	wantRoute(t, b.routed("amq.direct", "K", nil), "")
	if err := b.v.unbindQueue([]byte("a"), []byte("amq.direct"), []byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantRoute(t, b.routed("amq.direct", "k", nil), "a b")
	if err := b.v.unbindQueue([]byte("a"), []byte("amq.direct"), []byte("k"), rawTable(t, amqp.Table{"another": "one"}), nil); err != nil {
		t.Fatal(err)
	}
	wantRoute(t, b.routed("amq.direct", "k", nil), "b")

	b.bind("c", "amq.fanout", "whatever", nil)
	b.bind("d", "amq.fanout", "", nil)
	wantRoute(t, b.routed("amq.fanout", "k", nil), "c d")

	b.bind("a", "amq.topic", "order.*", nil)
	b.bind("b", "amq.topic", "order.#", nil)
	b.bind("c", "amq.topic", "#", nil)
	wantRoute(t, b.routed("amq.topic", "order.created", nil), "a b c")
	wantRoute(t, b.routed("amq.topic", "order", nil), "b c")
	wantRoute(t, b.routed("amq.topic", "", amqp.Table{"CC": []any{"order.created.x"}}), "b c")
	b.end()
}

func TestRouteThroughExchanges(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "rest", "loop"} {
		b.queue(name, nil)
	}
	b.exchange("leftover", "fanout", nil)
	b.exchange("in", "topic", amqp.Table{"alternate-exchange": "leftover"})
	b.exchange("out", "direct", nil)
	b.bind("rest", "leftover", "", nil)
	b.bind("a", "in", "a.#", nil)
	b.bind("b", "out", "a.b", nil)
	toExchange := func(destination, source, key string) {
		t.Helper()
		if err := b.v.bindExchange([]byte(destination), []byte(source), []byte(key), nil); err != nil {
			t.Fatal(err)
		}
	}
	toExchange("out", "in", "*.b")
	wantRoute(t, b.routed("in", "a.b", nil), "a b")
	wantRoute(t, b.routed("in", "a", nil), "a")
	// A binding to an exchange counts as a route, whether or not the message goes
	// further from there.
	wantRoute(t, b.routed("in", "z.b", nil), "")
	wantRoute(t, b.routed("in", "z", nil), "rest")

	toExchange("in", "out", "a.b") // a circle
	b.bind("loop", "out", "a.b", nil)
	wantRoute(t, b.routed("in", "a.b", nil), "a b loop")
	wantRoute(t, b.routed("out", "a.b", nil), "a b loop")

	b.exchange("lost", "direct", amqp.Table{"alternate-exchange": "none"})
	wantRoute(t, b.routed("lost", "k", nil), "")
	b.exchange("self", "direct", amqp.Table{"alternate-exchange": "self"})
	wantRoute(t, b.routed("self", "k", nil), "")
	b.end()
}

func TestAutoDeleteExchanges(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"first", "second", "third"} {
		if _, err := b.v.declareExchange(exchangeSpec{name: name, kind: "fanout", autoDelete: true}); err != nil {
			t.Fatal(err)
		}
	}
	q := b.queue("q", nil)
	for _, pair := range [][2]string{{"second", "first"}, {"third", "second"}} {
		if err := b.v.bindExchange([]byte(pair[0]), []byte(pair[1]), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.bind("q", "third", "", nil)
	wantRoute(t, b.routed("first", "", nil), "q")
	wantFault(t, b.v.deleteExchange([]byte("first"), true), 406, "exchange 'first' in vhost '/' in use")
	q.delete()
	for _, name := range []string{"first", "second", "third"} {
		if b.v.exchanges[name] != nil {
			t.Errorf("%s is still there, with nothing behind it", name)
		}
	}
	if b.v.bindings != 0 {
		t.Errorf("%d bindings of what has gone", b.v.bindings)
	}
	b.end()
}

func TestRouteHeaders(t *testing.T) {
	for _, row := range []struct {
		name    string
		bind    amqp.Table
		headers amqp.Table
		fits    bool
	}{
		{"all", amqp.Table{"a": "1", "b": "2"}, amqp.Table{"a": "1", "b": "2", "c": "3"}, true},
		{"all, said", amqp.Table{"x-match": "all", "a": "1", "b": "2"}, amqp.Table{"a": "1", "b": "2"}, true},
		{"all, one differs", amqp.Table{"a": "1", "b": "2"}, amqp.Table{"a": "1", "b": "3"}, false},
		{"all, one is missing", amqp.Table{"a": "1", "b": "2"}, amqp.Table{"a": "1"}, false},
		{"all of nothing", nil, amqp.Table{"a": "1"}, true},
		{"all of nothing, of no headers", amqp.Table{"x-match": "all"}, nil, true},
		{"any", amqp.Table{"x-match": "any", "a": "1", "b": "2"}, amqp.Table{"b": "2"}, true},
		{"any, none", amqp.Table{"x-match": "any", "a": "1", "b": "2"}, amqp.Table{"b": "3"}, false},
		{"any of nothing", amqp.Table{"x-match": "any"}, amqp.Table{"a": "1"}, false},
		{"x- is left out", amqp.Table{"x-a": "1"}, amqp.Table{"x-a": "2"}, true},
		{"x- is left out of any", amqp.Table{"x-match": "any", "x-a": "1"}, amqp.Table{"x-a": "1"}, false},
		{"x- counts", amqp.Table{"x-match": "all-with-x", "x-a": "1"}, amqp.Table{"x-a": "2"}, false},
		{"x- counts for any", amqp.Table{"x-match": "any-with-x", "x-a": "1"}, amqp.Table{"x-a": "1"}, true},
		{"void asks for the name", amqp.Table{"a": nil}, amqp.Table{"a": int32(7)}, true},
		{"void, no name", amqp.Table{"a": nil}, amqp.Table{"b": int32(7)}, false},
		{"numbers of any width", amqp.Table{"a": int32(1)}, amqp.Table{"a": int64(1)}, true},
		{"a whole float", amqp.Table{"a": int32(1)}, amqp.Table{"a": float64(1)}, true},
		{"a number is no string", amqp.Table{"a": int32(1)}, amqp.Table{"a": "1"}, false},
		{"string and bytes", amqp.Table{"a": "x"}, amqp.Table{"a": []byte("x")}, true},
		{"bool", amqp.Table{"a": true}, amqp.Table{"a": true}, true},
		{"bool differs", amqp.Table{"a": true}, amqp.Table{"a": false}, false},
		{"bool is no number", amqp.Table{"a": true}, amqp.Table{"a": int32(1)}, false},
		{"tables", amqp.Table{"a": amqp.Table{"b": "c"}}, amqp.Table{"a": amqp.Table{"b": "c"}}, true},
	} {
		b := newBench(t)
		b.queue("q", nil)
		b.bind("q", "amq.headers", "", row.bind)
		if got := b.routed("amq.headers", "ignored", row.headers) == "q"; got != row.fits {
			t.Errorf("%s: %v through %v: %v", row.name, row.headers, row.bind, got)
		}
	}
}
