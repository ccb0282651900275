package publishertest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// TestHooksAndPublish: a test sees what hooks and goroutines publish, and its end
// stops what the start has started.
func TestHooksAndPublish(t *testing.T) {
	g := publisher.NewRegistry()
	g.Produce("orders", publisher.Producer{Exchange: "orders"})
	var ticks sync.WaitGroup
	order := ""
	t.Run("while it runs", func(t *testing.T) {
		g.OnStart(func(ctx context.Context) error {
			order += "start "
			ticks.Go(func() {
				if err := g.Publish(ctx, "orders", "from a goroutine"); err != nil {
					t.Error(err)
				}
				<-ctx.Done()
			})
			return nil
		})
		g.OnStop(func(ctx context.Context) error {
			ticks.Wait()
			order += "stop"
			return g.Publish(ctx, "orders", "goodbye")
		})
		g.Handle("GET /", func(r *publisher.Request) error {
			return r.Offload(func() error { return g.Publish(r.Context(), "orders", "offloaded") })
		})
		s := publishertest.New(t, g)
		var from []publishertest.Published
		if err := s.Run(func() error { return g.Publish(t.Context(), "orders", "by Run") }); err != nil {
			t.Error(err)
		}
		if err := g.Publish(t.Context(), "orders", "by the test"); err != nil {
			t.Error(err)
		}
		if got := s.Request("GET", "/", "", ""); got.Status != 204 {
			t.Errorf("%+v", got)
		}
		for len(from) < 4 { // the goroutine's comes when it comes
			if err := s.Server().Publish(t.Context(), "orders", "more"); err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Published() {
				if string(p.Body) != `"more"` {
					from = append(from, p)
				}
			}
		}
		s.Confirm(errors.New("nacked"))
		if err := g.Publish(t.Context(), "orders", "x"); !errors.Is(err, publisher.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		s.Confirm(nil)
	})
	if order != "start stop" {
		t.Errorf("%q", order)
	}
	if err := g.Publish(t.Context(), "orders", "x"); !errors.Is(err, publisher.ErrNotServing) {
		t.Errorf("after the test: %v", err)
	}
}
