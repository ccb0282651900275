package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"zamqp/publisher"
)

// detachedPatience only bounds a hang.
const detachedPatience = time.Minute

// publishing is a Publish on a goroutine of its own.
func publishing(s *publisher.Server, ctx context.Context, v any, options ...publisher.Option) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.Publish(ctx, "orders", v, options...) }()
	return ended
}

// post runs what the next goroutine posts.
func (b *bench) post() {
	b.t.Helper()
	select {
	case fn := <-b.posted:
		fn()
	case <-time.After(detachedPatience):
		b.t.Fatal("nothing was posted")
	}
}

// result waits for the end of a publishing.
func result(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(detachedPatience):
		t.Fatal("Publish does not return")
		return nil
	}
}

func detachedBench(t *testing.T) *bench {
	b := newBench(t)
	b.reg.Produce("orders", publisher.Producer{Exchange: "orders", RoutingKey: "order.new"})
	return b
}

// TestDetachedPublish: the publish is the same as that of a call, and the caller gets the
// broker's answer.
func TestDetachedPublish(t *testing.T) {
	b := detachedBench(t).start(publisher.Options{})
	body := []byte("abc")
	ended := publishing(b.server, context.Background(), body, publisher.Key("order.${site_id}")) // the site is not set
	if err := result(t, ended); err == nil || !strings.Contains(err.Error(), "publish orders:") {
		t.Errorf("%v", err)
	}
	ended = publishing(b.server, context.Background(), body, publisher.MessageID("7"))
	b.post()
	copy(body, "xyz") // it was copied
	if len(b.sent) != 1 {
		t.Fatalf("%d publishes have left", len(b.sent))
	}
	got := b.sent[0]
	if got.exchange != "orders" || got.key != "order.new" || got.body != "abc" || got.props.MessageId != "7" || got.props.DeliveryMode != 2 || got.props.ContentType != "application/json" {
		t.Errorf("%+v", got)
	}
	select {
	case err := <-ended:
		t.Fatalf("it returned before the confirm: %v", err)
	default:
	}
	got.confirm.Confirmed(nil)
	if err := result(t, ended); err != nil {
		t.Error(err)
	}
	ended = publishing(b.server, context.Background(), map[string]int{"n": 1})
	b.post()
	b.sent[1].confirm.Confirmed(errors.New("312 NO_ROUTE"))
	if err := result(t, ended); !errors.Is(err, publisher.ErrUnavailable) || !strings.Contains(err.Error(), "312 NO_ROUTE") {
		t.Errorf("%v", err)
	}
	if b.sent[1].body != `{"n":1}` {
		t.Errorf("%s", b.sent[1].body)
	}
	metrics := map[string]float64{}
	for _, m := range b.server.Metrics() {
		metrics[m.Name] = m.Value
	}
	if metrics["detached_publishes_total"] != 2 || metrics["detached_publish_failures_total"] != 1 {
		t.Errorf("metrics: %v publishes, %v failures", metrics["detached_publishes_total"], metrics["detached_publish_failures_total"])
	}
}

// TestDetachedPublishRefused: errors that can be known at once are returned at once.
func TestDetachedPublishRefused(t *testing.T) {
	if err := publisher.NewRegistry().Publish(context.Background(), "orders", nil); !errors.Is(err, publisher.ErrNotServing) {
		t.Errorf("without a server: %v", err)
	}
	b := detachedBench(t)
	b.reg.OnStart(func(context.Context) error {
		if err := b.reg.Publish(context.Background(), "orders", "x"); !errors.Is(err, publisher.ErrNotServing) {
			t.Errorf("in an OnStart function: %v", err)
		}
		return nil
	})
	var inside error
	b.reg.Handle("POST /", func(r *publisher.Request) error {
		inside = b.reg.Publish(r.Context(), "orders", "x")
		return nil
	})
	s, err := publisher.NewServer(b.reg, nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RunOnStart(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.start(publisher.Options{})
	if b.request("POST", "/", "", ""); !errors.Is(inside, publisher.ErrOnLoop) {
		t.Errorf("in a handler: %v", inside)
	}
	if log := b.log.String(); !strings.Contains(log, `"place":"publisher/detached_test.go:`) || !strings.Contains(log, `"method":"Publish"`) {
		t.Errorf("the log does not name the place: %s", log)
	}
	if err := b.server.Publish(context.Background(), "orders", "x"); !errors.Is(err, publisher.ErrOnLoop) {
		t.Errorf("on the loop's own goroutine: %v", err)
	}
	for name, row := range map[string]struct {
		producer string
		v        any
		want     string
	}{
		"no such producer": {"nobody", "x", "no such producer"},
		"no codec for it":  {"orders", func() {}, "func()"},
	} {
		ended := make(chan error, 1)
		go func() { ended <- b.server.Publish(context.Background(), row.producer, row.v) }()
		if err := result(t, ended); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.refuse = errors.New("publish_max")
	ended := publishing(b.server, context.Background(), "x")
	b.post()
	if err := result(t, ended); !errors.Is(err, publisher.ErrUnavailable) || !strings.Contains(err.Error(), "publish_max") {
		t.Errorf("%v", err)
	}
	b.refuse = nil
	b.server.RefusePublishes()
	ended = publishing(b.server, context.Background(), "x")
	b.post()
	if err := result(t, ended); !errors.Is(err, publisher.ErrUnavailable) || !errors.Is(err, publisher.ErrShutdown) {
		t.Errorf("while the connections close: %v", err)
	}
	b.server.End()
	if err := b.reg.Publish(context.Background(), "orders", "x"); !errors.Is(err, publisher.ErrNotServing) {
		t.Errorf("after the end: %v", err)
	}
	if err := b.server.Publish(context.Background(), "orders", "x"); err == nil {
		t.Error("after the end nothing is said")
	}
	if len(b.sent) != 0 {
		t.Errorf("%d publishes have left", len(b.sent))
	}
}

// TestDetachedPublishBeforeTheLoop waits until the server serves, or does not.
func TestDetachedPublishBeforeTheLoop(t *testing.T) {
	b := detachedBench(t)
	ended := make(chan error, 2)
	begun := make(chan struct{})
	b.reg.OnStart(func(context.Context) error {
		for range 2 {
			go func() {
				begun <- struct{}{}
				ended <- b.reg.Publish(context.Background(), "orders", "x")
			}()
			<-begun
		}
		return nil
	})
	s, err := publisher.NewServer(b.reg, nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RunOnStart(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := publishing(s, ctx, "x")
	cancel()
	if err := result(t, cancelled); !errors.Is(err, context.Canceled) || errors.Is(err, publisher.ErrUnknownOutcome) || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("%v", err)
	}
	b.server = s
	s.Start(b)
	s.Bind("orders", b) // later, as a door does
	b.post()
	b.post()
	for _, sent := range b.sent {
		sent.confirm.Confirmed(nil)
	}
	for range 2 {
		if err := result(t, ended); err != nil {
			t.Error(err)
		}
	}

	failed, err := publisher.NewServer(b.reg, nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	waiting := publishing(failed, context.Background(), "x")
	failed.End() // its start has failed
	if err := result(t, waiting); !errors.Is(err, publisher.ErrShutdown) {
		t.Errorf("%v", err)
	}
}

// TestDetachedPublishLeft: a caller that stops waiting learns what is known.
func TestDetachedPublishLeft(t *testing.T) {
	why := errors.New("enough")
	b := detachedBench(t).start(publisher.Options{})
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := publishing(b.server, ctx, "x")
	fn := <-b.posted
	cancel(why)
	if err := result(t, ended); !errors.Is(err, why) || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("before the loop took it: %v", err)
	}
	if fn(); len(b.sent) != 0 {
		t.Error("it was sent all the same")
	}

	ctx, cancel = context.WithCancelCause(context.Background())
	ended = publishing(b.server, ctx, "x")
	b.post()
	cancel(why)
	if err := result(t, ended); !errors.Is(err, why) || !errors.Is(err, publisher.ErrUnknownOutcome) {
		t.Errorf("after the loop took it: %v", err)
	}
	b.sent[0].confirm.Confirmed(errors.New("nacked"))
	if log := b.log.String(); !strings.Contains(log, "nacked") || !strings.Contains(log, `"producer":"orders"`) {
		t.Errorf("its failure is not in the log: %s", log)
	}

	ended = publishing(b.server, context.Background(), "x")
	b.post()
	later := publishing(b.server, context.Background(), "x")
	fn = <-b.posted
	b.server.End()
	if err := result(t, ended); !errors.Is(err, publisher.ErrShutdown) || !errors.Is(err, publisher.ErrUnknownOutcome) {
		t.Errorf("taken when the loop ended: %v", err)
	}
	if err := result(t, later); !errors.Is(err, publisher.ErrShutdown) || errors.Is(err, publisher.ErrUnknownOutcome) {
		t.Errorf("not taken when the loop ended: %v", err)
	}
	fn()
}

// TestDetachedPublishOfMany: many goroutines publish, some leave, and each message
// has the outcome that its caller was told.
func TestDetachedPublishOfMany(t *testing.T) {
	const goroutines, each = 32, 20
	b := detachedBench(t).start(publisher.Options{})
	var mu sync.Mutex
	told := map[string]error{}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d/%d", g, i)
				ctx, cancel := context.WithCancel(context.Background())
				if i%5 == 4 {
					cancel()
				} else if i%5 == 3 {
					go cancel()
				}
				err := b.server.Publish(ctx, "orders", body, publisher.ContentType("text/plain"))
				cancel()
				mu.Lock()
				told[body] = err
				mu.Unlock()
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	confirmed := map[string]bool{}
	for at, done := 0, false; !done; {
		select {
		case fn := <-b.posted:
			fn()
		case <-over:
			done = true
		case <-time.After(detachedPatience):
			t.Fatal("they do not come to an end")
		}
		for ; at < len(b.sent); at++ {
			confirmed[b.sent[at].body] = true
			b.sent[at].confirm.Confirmed(nil)
		}
	}
	for body, err := range told {
		switch {
		case err == nil && !confirmed[body]:
			t.Errorf("%s: said to be confirmed, and was not sent", body)
		case err != nil && !errors.Is(err, publisher.ErrUnknownOutcome) && confirmed[body]:
			t.Errorf("%s: said not to be sent (%v), and was", body, err)
		}
	}
	if len(told) != goroutines*each {
		t.Errorf("%d outcomes, want %d", len(told), goroutines*each)
	}
}
