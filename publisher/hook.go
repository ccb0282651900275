package publisher

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"zamqp/loop/coro"
)

// A Hook is a function that a server runs once, when it starts or when it stops.
// It does not run on the loop's thread and may block.
type Hook func(ctx context.Context) error

// OnStart adds a function that the server runs before it serves: no listener is
// open yet, and no broker connected. The functions run one after the other, in the
// order of registration, on the goroutine that starts the server (main), after
// the settings have been read. Nothing but ctx bounds how long that may take. An
// error or a panic ends the start, with the place of this registration.
//
// ctx ends when the server begins to stop, also during the start; its cause is then the
// signal. It also ends when the start fails. So it is the right context for goroutines that
// the function starts; an [OnStop] function waits for them:
//
//	var ticks sync.WaitGroup
//
//	func init() {
//		publisher.OnStart(func(ctx context.Context) error {
//			ticks.Go(func() { tick(ctx) })
//			return nil
//		})
//		publisher.OnStop(func(context.Context) error { ticks.Wait(); return nil })
//	}
//
// [Publish] on such a goroutine waits until the server serves. In the function itself it is
// refused, because the server waits for the function.
func OnStart(fn Hook) { Default.onStart(fn, 1) }

// OnStop adds a function that the server runs when it stops: when all calls have
// ended, and while the brokers are still connected, so that [Publish] works. The
// functions run one after the other, in the reverse order of registration, on a
// goroutine of their own. An error or a panic is logged, and the next one runs.
//
// ctx ends when server.drain_timeout is over. One second later the server ends without
// waiting for the function that still runs, and without running the others; the log and the
// exit status say so. If calls use up all that time, the functions have only that second, and
// no broker. A second signal ends the process at once, without them.
//
// After a failed start, only some of them run. The first OnStop of a package belongs to its
// first OnStart, the second to the second, and all further ones to the last. A function runs
// if the OnStart function to which it belongs has returned nil, or if its package has no
// OnStart.
func OnStop(fn Hook) { Default.onStop(fn, 1) }

// OnStart is the package's [OnStart] for this registry.
func (g *Registry) OnStart(fn Hook) { g.onStart(fn, 1) }

// OnStop is the package's [OnStop] for this registry.
func (g *Registry) OnStop(fn Hook) { g.onStop(fn, 1) }

// hook is a registered function.
type hook struct {
	fn    Hook
	place string // where it was registered
	home  string // the package of that place
	ran   bool   // it has returned nil; for OnStart functions
}

func (g *Registry) onStart(fn Hook, skip int) {
	g.starts = append(g.starts, newHook("OnStart", fn, skip+1))
}

func (g *Registry) onStop(fn Hook, skip int) {
	g.stops = append(g.stops, newHook("OnStop", fn, skip+1))
}

func newHook(kind string, fn Hook, skip int) hook {
	place := caller(skip + 2)
	if fn == nil {
		panic(fmt.Sprintf("publisher: %s at %s: the function is nil", kind, place))
	}
	return hook{fn: fn, place: place, home: callerPackage(skip + 2)}
}

// callerPackage returns the import path of the caller.
func callerPackage(skip int) string {
	pc, _, _, ok := runtime.Caller(skip)
	if !ok {
		return ""
	}
	name := runtime.FuncForPC(pc).Name() // such as example.org/shop/v2.init.0.func1
	slash := strings.LastIndexByte(name, '/') + 1
	home, _, _ := strings.Cut(name[slash:], ".")
	return name[:slash] + home
}

// hooks are a server's copies of the registered functions.
type hooks struct {
	starts, stops []hook
	starter       atomic.Uintptr         // the goroutine of RunOnStart; 0 is none
	current       atomic.Pointer[string] // the function that runs now, for the log; nil is none
}

// HasOnStop reports whether RunOnStop has anything to run; if not, no goroutine is needed.
func (s *Server) HasOnStop() bool { return len(s.hooks.stops) > 0 }

// RunningHook returns the hook that runs now, with the place of its registration, or "". Any
// goroutine may call it.
func (s *Server) RunningHook() string {
	if name := s.hooks.current.Load(); name != nil {
		return *name
	}
	return ""
}

// hookSlow is how long an OnStart function may run before the log names it.
const hookSlow = 10 * time.Second

// RunOnStart runs the functions that [OnStart] has added, until one fails. It is
// called once, before [Server.Start], on the goroutine that starts the server.
func (s *Server) RunOnStart(ctx context.Context) error {
	s.attach()
	h := &s.hooks
	h.starter.Store(coro.Identity())
	defer h.starter.Store(0)
	for i := range h.starts {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		slow := time.AfterFunc(hookSlow, func() {
			s.log.Warn().Str("place", h.starts[i].place).Dur("after", hookSlow).Msg("an OnStart function has not returned: the server does not serve before it has")
		})
		err := h.run("OnStart", &h.starts[i], ctx)
		slow.Stop()
		if err != nil {
			if p := (*PanicError)(nil); errors.As(err, &p) {
				s.log.Error().Err(err).Bytes("stack", p.Stack).Msg("an OnStart function panicked")
			}
			return err
		}
	}
	return nil
}

// RunOnStop runs the [OnStop] functions whose OnStart function has succeeded. It begins none
// after ctx has ended. It is called once, not on the loop's thread.
func (s *Server) RunOnStop(ctx context.Context) {
	h := &s.hooks
	for i := len(h.stops) - 1; i >= 0; i-- {
		stop := &h.stops[i]
		switch {
		case !h.started(i):
			s.log.Debug().Str("place", stop.place).Msg("an OnStop function is left out: the OnStart function that it belongs to has not run")
		case ctx.Err() != nil:
			s.log.Error().Str("place", stop.place).AnErr("cause", context.Cause(ctx)).Msg("an OnStop function was not run: there was no time left")
		default:
			if err := h.run("OnStop", stop, ctx); err != nil {
				e := s.log.Error().Err(err)
				if p := (*PanicError)(nil); errors.As(err, &p) {
					e = e.Bytes("stack", p.Stack)
				}
				e.Msg("an OnStop function failed; the others go on")
			}
		}
	}
}

// started reports whether the OnStart function that a stop function belongs to has succeeded.
func (h *hooks) started(stop int) bool {
	home, nth := h.stops[stop].home, 0
	for i := range h.stops[:stop] {
		if h.stops[i].home == home {
			nth++
		}
	}
	ran := true
	for i := range h.starts {
		if h.starts[i].home != home {
			continue
		}
		ran = h.starts[i].ran
		if nth--; nth < 0 {
			break
		}
	}
	return ran
}

// run runs one hook. Its error names the place.
func (h *hooks) run(kind string, k *hook, ctx context.Context) error {
	name := kind + " (registered at " + k.place + ")"
	h.current.Store(&name)
	defer h.current.Store(nil)
	err := guard(func() error { return k.fn(ctx) })
	if p, ok := err.(*PanicError); ok {
		p.who = "it"
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	k.ran = true
	return nil
}
