package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
)

// hooked makes a server of a registry, and returns its log.
func hooked(t *testing.T, g *publisher.Registry) (*publisher.Server, *strings.Builder) {
	t.Helper()
	log := &strings.Builder{}
	s, err := publisher.NewServer(g, nil, nil, publisher.Options{Log: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

// TestHooks: which functions run, in which order, and what is reported about a failure.
func TestHooks(t *testing.T) {
	broken := errors.New("no database")
	for name, row := range map[string]struct {
		register string // S starts, F fails to start, P panics in a start, E ends; in order of registration, numbered
		want     string
		failure  string
	}{
		"in order, and back":                    {"SSEE", "S1 S2 E2 E1", ""},
		"a start fails":                         {"SEFE", "S1 F2 E1", "hook_test.go"},
		"the first start fails":                 {"FESE", "F1", "no database"},
		"starts first, then stops":              {"SFEE", "S1 F2 E1", "no database"},
		"a start panics":                        {"SEPE", "S1 P2 E1", "it panicked: no database"},
		"stops alone":                           {"EE", "E2 E1", ""},
		"one stop of two starts":                {"SFE", "S1 F2 E1", "no database"},
		"further stops belong to the last":      {"SFEEE", "S1 F2 E1", "no database"},
		"further stops, and nothing has failed": {"SEEE", "S1 E3 E2 E1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := publisher.NewRegistry()
			var ran []string
			starts, stops := 0, 0
			for _, kind := range row.register {
				note := func(err error, n int) publisher.Hook {
					return func(context.Context) error {
						ran = append(ran, fmt.Sprintf("%c%d", kind, n))
						if kind == 'P' {
							panic(err)
						}
						return err
					}
				}
				switch kind {
				case 'E':
					stops++
					g.OnStop(note(nil, stops))
				case 'S':
					starts++
					g.OnStart(note(nil, starts))
				default:
					starts++
					g.OnStart(note(broken, starts))
				}
			}
			s, _ := hooked(t, g)
			err := s.RunOnStart(context.Background())
			s.RunOnStop(context.Background())
			if got := strings.Join(ran, " "); got != row.want {
				t.Errorf("ran %s, want %s", got, row.want)
			}
			if (err != nil) != (row.failure != "") || err != nil && !strings.Contains(err.Error(), row.failure) {
				t.Errorf("the start ended with %v, want %q in it", err, row.failure)
			}
			if err != nil && !strings.Contains(err.Error(), "OnStart (registered at publisher/hook_test.go:") {
				t.Errorf("%v does not name the place", err)
			}
		})
	}
}

// TestStopsGoOn: an error or a panic of one is logged with its place, and the next
// one runs; when there is no time left, those that are left are logged.
func TestStopsGoOn(t *testing.T) {
	g := publisher.NewRegistry()
	ctx, cancel := context.WithCancelCause(context.Background())
	var ran []string
	g.OnStop(func(context.Context) error { ran = append(ran, "never"); return nil })
	g.OnStop(func(context.Context) error { cancel(errors.New("out of time")); ran = append(ran, "last"); return nil })
	g.OnStop(func(context.Context) error { ran = append(ran, "panics"); panic("boom") })
	g.OnStop(func(context.Context) error { ran = append(ran, "fails"); return errors.New("no flush") })
	s, log := hooked(t, g)
	s.RunOnStop(ctx)
	if got, want := strings.Join(ran, " "), "fails panics last"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	wants := []string{"no flush", "it panicked: boom", "was not run"}
	if len(lines) != len(wants) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(wants), log)
	}
	for i, want := range wants {
		if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "publisher/hook_test.go:") {
			t.Errorf("line %d: %s, want %q and the place", i, lines[i], want)
		}
	}
}

// TestStartEndsWithItsContext: a signal during the start keeps the next functions
// from running.
func TestStartEndsWithItsContext(t *testing.T) {
	g := publisher.NewRegistry()
	cause := errors.New("a signal")
	ctx, cancel := context.WithCancelCause(context.Background())
	var ran []string
	g.OnStart(func(ctx context.Context) error {
		cancel(cause)
		<-ctx.Done()
		ran = append(ran, "first")
		return nil
	})
	g.OnStart(func(context.Context) error { ran = append(ran, "second"); return nil })
	s, _ := hooked(t, g)
	if err := s.RunOnStart(ctx); !errors.Is(err, cause) {
		t.Errorf("%v, want %v", err, cause)
	}
	if !slices.Equal(ran, []string{"first"}) {
		t.Errorf("ran %v", ran)
	}
}

// TestHookWithoutFunction panics where it is registered.
func TestHookWithoutFunction(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "publisher/hook_test.go:") {
			t.Errorf("%s", text)
		}
	}()
	publisher.NewRegistry().OnStop(nil)
}

// TestRunningHook names what a server waits for.
func TestRunningHook(t *testing.T) {
	g := publisher.NewRegistry()
	held, release := make(chan struct{}), make(chan struct{})
	g.OnStop(func(context.Context) error { close(held); <-release; return nil })
	s, _ := hooked(t, g)
	done := make(chan struct{})
	go func() { defer close(done); s.RunOnStop(context.Background()) }()
	select {
	case <-held:
	case <-time.After(time.Minute):
		t.Fatal("it does not run")
	}
	if name := s.RunningHook(); !strings.HasPrefix(name, "OnStop (registered at publisher/hook_test.go:") {
		t.Errorf("%q", name)
	}
	close(release)
	<-done
	if name := s.RunningHook(); name != "" {
		t.Errorf("%q after its end", name)
	}
}
