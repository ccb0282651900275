package publisher_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

func TestEveryRefuses(t *testing.T) {
	nothing := func(*publisher.Request) error { return nil }
	g := publisher.NewRegistry()
	g.Every("tick", publisher.Clock{Period: time.Second}, nothing)
	for name, row := range map[string]struct {
		clock string
		h     publisher.Handler
		want  string
	}{
		"twice":      {"tick", nothing, "already registered at publisher/clock_test.go:15"},
		"name":       {"Tick!", nothing, "a name is made of"},
		"no handler": {"tock", nil, "the handler is nil"},
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, row.want) || !strings.Contains(p, "Every") || !strings.Contains(p, "publisher/clock_test.go:") {
					t.Errorf("%s: %s", name, p)
				}
			}()
			g.Every(row.clock, publisher.Clock{Period: time.Second}, row.h)
		}()
	}
}

// TestListing: clocks come after the routes, with the method and path of their calls.
func TestListing(t *testing.T) {
	nothing := func(*publisher.Request) error { return nil }
	g := publisher.NewRegistry()
	g.Every("b", publisher.Clock{Period: time.Second}, nothing)
	g.Every("a", publisher.Clock{Period: time.Second}, nothing)
	g.Handle("GET /x", nothing)
	g.Consume("c", publisher.Consumer{}, nothing)
	var got []string
	for _, r := range g.Listing() {
		got = append(got, r.Method+"|"+r.Pattern+"|"+r.Place)
	}
	want := "[GET|GET /x|publisher/clock_test.go:42 CLOCK|CLOCK /a|publisher/clock_test.go:41 CLOCK|CLOCK /b|publisher/clock_test.go:40]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant %s", got, want)
	}
}
