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
	check := func(want map[string][]string) {
		t.Helper()
		got := g.Names()
		for table, names := range want {
			if have, is := got[table]; !is || !reflect.DeepEqual(have, names) {
				t.Errorf("%s: %v", table, got)
			}
		}
	}
	check(map[string][]string{"consumer": nil, "producer": nil, "pool": {"default"}})
	g.Consume("b", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	g.Consume("a", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	g.Pool("sql", 2)
	check(map[string][]string{"consumer": {"a", "b"}, "producer": nil, "pool": {"sql", "default"}})
}
