package publisher_test

import (
	"reflect"
	"testing"

	"zamqp/publisher"
)

// TestNames: the configuration knows by it which tables of names are registered, also
// those of which a program has none.
func TestNames(t *testing.T) {
	g := publisher.NewRegistry()
	want := map[string][]string{"consumer": nil, "producer": nil, "pool": {"default"}}
	if got := g.Names(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	g.Consume("b", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	g.Consume("a", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	g.Pool("sql", 2)
	want = map[string][]string{"consumer": {"a", "b"}, "producer": nil, "pool": {"sql", "default"}}
	if got := g.Names(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
