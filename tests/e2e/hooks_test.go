package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/wait"
)

// hooks are what the registered functions call: tests change them.
type hooks struct{ start, stop publisher.Hook }

var hooked atomic.Pointer[hooks]

func init() {
	run := func(which func(*hooks) publisher.Hook) publisher.Hook {
		return func(ctx context.Context) error {
			if h := hooked.Load(); h != nil && which(h) != nil {
				return which(h)(ctx)
			}
			return nil
		}
	}
	publisher.OnStart(run(func(h *hooks) publisher.Hook { return h.start }))
	publisher.OnStop(run(func(h *hooks) publisher.Hook { return h.stop }))
	publisher.Produce("e2e-detached", publisher.Producer{Queue: "e2e-detached", Codec: "text"})
	publisher.Produce("e2e-detached-lost", publisher.Producer{Exchange: "amq.direct", Mandatory: true, Codec: "text"})
}

// hook sets the functions for one test.
func hook(t *testing.T, start, stop publisher.Hook) {
	hooked.Store(&hooks{start, stop})
	t.Cleanup(func() { hooked.Store(nil) })
}

// serveTo runs a server that ends by itself, or by its context.
func serveTo(t *testing.T, ctx context.Context, option string) (log string, err error) {
	t.Helper()
	all := []string{"http.listen=127.0.0.1:0", "broker.listen=127.0.0.1:0", "connection.default.url=embedded", "server.data_dir=",
		"consumer.e2e-stream.enabled=false"}
	if option != "" {
		all = append(all, option)
	}
	settings, err := config.Load(config.Sources{Options: all}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	lines := &logs.Buffer{}
	end := make(chan error, 1)
	go func() { end <- app.Serve(ctx, settings, zerolog.New(lines)) }()
	select {
	case err := <-end:
		return lines.String(), err
	case <-time.After(patience):
		t.Fatalf("the server does not end:\n%s", lines)
		return "", nil
	}
}

// TestStartThatFails: the error names the place, no client was served, and start functions
// that had succeeded are undone.
func TestStartThatFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	type ending = func(ctx context.Context, end func()) error
	broken := errors.New("no database")
	for name, row := range map[string]struct {
		start  ending
		option string
		ended  bool   // before it
		want   string // in the error; "" is none
		stops  int
	}{
		"an error":            {start: func(context.Context, func()) error { return broken }, want: "no database"},
		"a panic":             {start: func(context.Context, func()) error { panic(broken) }, want: "it panicked: no database"},
		"the port is taken":   {option: "http.listen=" + ln.Addr().String(), want: "in use", stops: 1},
		"a signal before it":  {ended: true},
		"a signal during it":  {start: func(ctx context.Context, end func()) error { end(); <-ctx.Done(); return ctx.Err() }},
		"a signal, unheeded":  {start: func(ctx context.Context, end func()) error { end(); <-ctx.Done(); return nil }, stops: 1},
		"an error and signal": {start: func(ctx context.Context, end func()) error { end(); <-ctx.Done(); return broken }, want: "no database"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(context.Background())
			defer end()
			if row.ended {
				end()
			}
			stops := 0
			var waiting sync.WaitGroup
			hook(t, func(ctx context.Context) error {
				waiting.Go(func() { // it must not wait for ever
					if err := publisher.Publish(ctx, "e2e-detached", "x"); err == nil {
						t.Error("a publish has left before the start was over")
					}
				})
				if row.start != nil {
					return row.start(ctx, end)
				}
				return nil
			}, func(context.Context) error { stops++; return nil })
			log, err := serveTo(t, ctx, row.option)
			waiting.Wait()
			if (err != nil) != (row.want != "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
			if row.start != nil && err != nil && !strings.Contains(err.Error(), "OnStart (registered at e2e/hooks_test.go:") {
				t.Errorf("%v does not name the place", err)
			}
			if stops != row.stops {
				t.Errorf("%d OnStop functions ran, want %d", stops, row.stops)
			}
			if strings.Contains(log, "serving http") {
				t.Errorf("it served:\n%s", log)
			}
		})
	}
}

// left are the messages of the queue e2e-detached that a server has left there, by
// their bodies, as far as they begin with id.
func (s *server) left(id string) (count map[string]int) {
	s.t.Helper()
	if s.amqp == s.own { // its broker has ended with it
		hooked.Store(nil)
		s = start(s.t, embedded, s.options...)
	}
	ch := s.channel()
	for count = map[string]int{}; ; {
		d, ok, err := ch.Get("e2e-detached", true)
		if err != nil {
			s.t.Fatal(err)
		}
		if !ok {
			return count
		}
		if strings.HasPrefix(string(d.Body), id) {
			count[string(d.Body)]++
		}
	}
}

// TestHooksAroundTheServer: OnStart comes before everything, and a goroutine that it
// starts publishes as soon as it can; OnStop comes after the calls, and publishes.
func TestHooksAroundTheServer(t *testing.T) { everywhere(t, testHooksAroundTheServer) }

func testHooksAroundTheServer(t *testing.T, at broker) {
	id := unique(t)
	early := make(chan error, 1)
	var during error
	var outlived int
	hook(t, func(ctx context.Context) error {
		go func() { early <- publisher.Publish(ctx, "e2e-detached", id+" early") }()
		during = publisher.Publish(ctx, "e2e-detached", id+" too early")
		return nil
	}, func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the context has no deadline")
		}
		outlived = saw("outlived")
		return publisher.Publish(ctx, "e2e-detached", id+" goodbye")
	})
	s := startUnready(t, at(t), "broker.data_dir="+t.TempDir())
	if err := <-early; err != nil {
		t.Error(err)
	}
	if !errors.Is(during, publisher.ErrNotServing) {
		t.Errorf("in the function itself: %v", during)
	}
	before := saw("outliving")
	called := make(chan struct{})
	go func() { defer close(called); s.do("POST", "/outlive", "", "") }()
	wait.Until(t, "a call runs", func() bool { return saw("outliving") > before })
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	<-called
	if outlived <= before {
		t.Error("the OnStop function did not wait for the call")
	}
	if err := publisher.Publish(context.Background(), "e2e-detached", "x"); !errors.Is(err, publisher.ErrNotServing) {
		t.Errorf("after the end: %v", err)
	}
	if got := s.left(id); len(got) != 2 || got[id+" early"] != 1 || got[id+" goodbye"] != 1 {
		t.Errorf("%v", got)
	}
}

// TestStopThatDoesNotReturn: the server ends without it, and says so.
func TestStopThatDoesNotReturn(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, row := range map[string]struct {
		stop publisher.Hook
		want string
	}{
		"it watches its context": {func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, "drain_timeout"},
		"it does not":            {func(context.Context) error { <-release; return nil }, "OnStop (registered at e2e/hooks_test.go:"},
	} {
		t.Run(name, func(t *testing.T) {
			hook(t, nil, row.stop)
			s := startUnready(t, embedded(t), "server.drain_timeout=100ms")
			err, log := s.drain(), s.log.String()
			if err == nil || !strings.Contains(err.Error(), "drain_timeout") {
				t.Errorf("%v", err)
			}
			if !strings.Contains(log, row.want) {
				t.Errorf("%q is not in the log:\n%s", row.want, log)
			}
		})
	}
}

// TestManyPublishOutsideOfCalls: goroutines publish until the drain ends them. Confirmed
// messages are in the queue, and messages that were reported as not sent are not.
func TestManyPublishOutsideOfCalls(t *testing.T) { everywhere(t, testManyPublishOutsideOfCalls) }

func testManyPublishOutsideOfCalls(t *testing.T, at broker) {
	const goroutines = 16
	id := unique(t)
	var mu sync.Mutex
	confirmed, unsent := map[string]bool{}, map[string]bool{}
	var wg sync.WaitGroup
	publish := func(ctx context.Context, g int) {
		for i := 0; ctx.Err() == nil; i++ {
			body := fmt.Sprintf("%s %d/%d", id, g, i)
			err := publisher.Publish(ctx, "e2e-detached", body)
			mu.Lock()
			if err == nil {
				confirmed[body] = true
			} else if strings.Contains(err.Error(), "nothing was sent") {
				unsent[body] = true
			}
			mu.Unlock()
		}
	}
	hook(t, func(ctx context.Context) error {
		for g := range goroutines {
			wg.Go(func() { publish(ctx, g) })
		}
		return nil
	}, func(context.Context) error { wg.Wait(); return nil })
	s := startUnready(t, at(t), "broker.data_dir="+t.TempDir())
	wait.Until(t, "some are confirmed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(confirmed) > 200
	})
	if err := publisher.Publish(context.Background(), "e2e-detached-lost", "x", publisher.Key("nobody")); !errors.Is(err, publisher.ErrUnavailable) || !strings.Contains(err.Error(), "312") {
		t.Errorf("nobody's queue: %v", err)
	}
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	left := s.left(id)
	for body, copies := range left {
		if copies != 1 {
			t.Errorf("%s came %d times", body, copies)
		}
	}
	for body := range confirmed {
		if left[body] == 0 {
			t.Errorf("%s was confirmed, and is not there", body)
		}
	}
	for body := range unsent {
		if left[body] > 0 {
			t.Errorf("%s is there, and was said not to be sent", body)
		}
	}
	t.Logf("%d confirmed, %d came", len(confirmed), len(left))
}
