package publisher

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher/schedule"
)

// OriginClock is a tick of a clock.
const OriginClock Origin = "clock"

// MethodClock is the method of calls that a clock makes.
const MethodClock = "CLOCK"

// A Clock says when the server calls a handler by itself: at each multiple of Period, or by a
// line of Cron.
//
// The tags of a field say what the configuration may set in [clock.NAME]: see [Settings].
type Clock struct {
	// Disabled never ticks, until the configuration enables it.
	Disabled bool `not:"enabled"`
	// Period is the time between two ticks. Ticks are at its multiples since 1970-01-01 00:00
	// UTC, so in all processes at the same times: a period of an hour ticks at each full
	// hour.
	Period time.Duration `key:"period" min:"1ms" max:"8760h" off:"cron says when"`
	// Cron is a line of cron, "minute hour day month weekday", or a word such as @daily.
	Cron string `key:"cron"`
	// Zone is the time zone of Cron, such as Europe/Berlin; "" is the time zone of the
	// machine.
	Zone string `key:"zone"`
	// Jitter delays each tick by a random time that is shorter than Jitter, so that not all
	// processes begin at once.
	Jitter time.Duration `key:"jitter" min:"1ms" max:"24h" off:"ticks are on time"`
	// Overlap says what happens to a tick while the call of an earlier tick still runs:
	// "skip" (default) drops it, "queue" lets one tick wait.
	Overlap string `key:"overlap" oneof:"skip queue"`
	// RunAtStart adds a tick when the server has started.
	RunAtStart bool `key:"run_at_start"`
	// Timeout ends the waits of a call that takes longer, in place of
	// server.call_timeout.
	Timeout time.Duration `key:"timeout" min:"1ms" max:"8760h" off:"server.call_timeout holds"`
	// Leader is the [connection.NAME] whose broker decides which of several processes ticks;
	// "" lets each process tick. See [ClockQueue].
	Leader string `key:"leader"`
	// Dedupe, with Leader, never repeats a tick that has begun, even if its process was
	// killed in the middle. Without it, the next leader repeats such a tick.
	Dedupe bool `key:"dedupe"`
}

// ClockQueue is the name of the queue that decides which process makes the ticks of a clock
// with [Clock.Leader]. Deployments that share a broker differ in their id, site.id of the
// configuration.
func ClockQueue(clock, site string) string {
	if site == "" {
		return clock + ".clock"
	}
	return clock + "." + site + ".clock"
}

// The values of Clock.Overlap.
const (
	OverlapSkip  = "skip"
	OverlapQueue = "queue"
)

var clockKind = newKind[Clock]("clock", "Every").calling(MethodClock)

// Every declares a clock, whose ticks are calls of h. Such a call has the method CLOCK, the
// path /{name}, and a transaction like every other call. A failure is logged and counted, and
// the handler is called again at the next tick. Every panics on a bad or duplicate name and
// on a nil handler.
func Every(name string, c Clock, h Handler) { Default.every(name, c, h, caller(2)) }

// Every is the package's [Every] for this registry.
func (g *Registry) Every(name string, c Clock, h Handler) { g.every(name, c, h, caller(2)) }

func (g *Registry) every(name string, c Clock, h Handler, place string) {
	if h == nil {
		panic(fmt.Sprintf("publisher: Every(%q) at %s: the handler is nil", name, place))
	}
	checkTyped("Every", name, place, h, true)
	clockKind.add(g, name, c, h, place)
}

// Clocks returns the declared clocks by name.
func (g *Registry) Clocks() map[string]Clock { return clockKind.values(g) }

// Check returns what is wrong with the clock, and the key that it is about.
func (c Clock) Check() (key string, err error) {
	switch {
	case c.Period < 0:
		return "period", errors.New("a period is positive")
	case c.Period == 0 && c.Cron == "":
		return "period", errors.New(`it does not say when to tick: set period, like "10s", or cron, like "0 3 * * *"`)
	case c.Period != 0 && c.Cron != "":
		return "cron", errors.New(`there is a period, too: set one of them, and the other to "off" or ""`)
	case c.Zone != "" && c.Cron == "":
		return "zone", errors.New("a period has no time zone: remove this, or set cron in place of period")
	case c.Period != 0 && c.Jitter >= c.Period:
		return "jitter", fmt.Errorf("it must be shorter than the period, %s: otherwise ticks would overtake each other", c.Period)
	case c.Dedupe && c.Leader == "":
		return "dedupe", errors.New(`no broker says which ticks have begun: set leader, too, like leader = "default"`)
	}
	if _, err := schedule.Zone(c.Zone); err != nil {
		return "zone", fmt.Errorf(`%w: write a name of the IANA database, like "Europe/Berlin"`, err)
	}
	if _, err := c.Schedule(); err != nil {
		return "cron", err
	}
	return "", nil
}

// Schedule returns the times at which the clock ticks.
func (c Clock) Schedule() (schedule.Schedule, error) {
	if c.Cron == "" {
		return schedule.Every(c.Period), nil
	}
	zone, err := schedule.Zone(c.Zone)
	if err != nil {
		return schedule.Schedule{}, err
	}
	return schedule.Cron(c.Cron, zone)
}

// String describes the clock for people.
func (c Clock) String() string {
	var b strings.Builder
	if c.Disabled {
		return "disabled"
	}
	if c.Cron != "" {
		fmt.Fprintf(&b, "at %s", c.Cron)
		if c.Zone != "" {
			b.WriteString(" in " + c.Zone)
		}
	} else {
		fmt.Fprintf(&b, "every %s", c.Period)
	}
	if c.Jitter > 0 {
		fmt.Fprintf(&b, ", up to %s later", c.Jitter)
	}
	if c.RunAtStart {
		b.WriteString(", and at the start")
	}
	if c.Overlap == OverlapQueue {
		b.WriteString("; one tick waits for the one before")
	}
	if c.Timeout > 0 {
		fmt.Fprintf(&b, "; timeout %s", c.Timeout)
	}
	if c.Leader != "" {
		fmt.Fprintf(&b, "; in one process, by connection %s", c.Leader)
	}
	if c.Dedupe {
		b.WriteString("; no tick twice")
	}
	return b.String()
}

// A ClockSource is one clock as a source of calls. It makes one call at a time: the next one
// when the last one is over.
type ClockSource struct {
	unanswered
	label   string
	target  []byte
	handler Handler
	limited bool // the clock has a timeout
	times   Histogram
}

// makeClocks puts the middleware around the handlers of the clocks.
func (s *Server) makeClocks(g *Registry) (failed error) {
	s.clocks = map[string]Handler{}
	for name, c := range clockKind.in(g) {
		h, err := g.wrap(c.handler, wrapped{name: "clock " + name})
		s.clocks[name], failed = h, errors.Join(failed, err)
	}
	return failed
}

// ClockSource returns the source of a clock that is declared in the server's registry.
func (s *Server) ClockSource(name string, c Clock) *ClockSource {
	k := &ClockSource{label: "clock " + name, target: []byte("/" + name), handler: s.clocks[name], limited: c.Timeout > 0}
	s.clockTimes[name] = &k.times
	return k
}

// SetClock fills in the call of one tick. at is the scheduled time of the tick.
func (c *Call) SetClock(k *ClockSource, at time.Time) {
	r := c.Request()
	r.from(k)
	r.method, r.target, r.path = clockMethod, k.target, k.target
	if r.server.ids {
		r.reserve(requestIDLen)
		r.makeRequestID()
	}
	r.scheduled, r.limited = at, k.limited // then the door ends its waits, not the server
}

var clockMethod = []byte(MethodClock)

// Scheduled is the time in the clock's schedule that this call is for. It is the same in all
// processes, however late the call begins, so it can identify the work, such as the report of
// that hour. For [Clock.RunAtStart] it is the time of the start. It is zero for calls that no
// clock has made.
func (r *Request) Scheduled() time.Time { return r.scheduled }

func (*ClockSource) origin() Origin { return OriginClock }

func (*ClockSource) identify(r *Request, c zerolog.Context) zerolog.Context {
	if r.server.ids {
		c = c.Str("request_id", string(r.requestID))
	}
	return c.Time("scheduled", r.scheduled)
}

func (k *ClockSource) begin(r *Request) bool {
	r.handler, r.label, r.times = k.handler, &k.label, r.server.timesOf(&k.times)
	return true
}

// settle logs the failure. A missing broker is only a warning, as it is for a message.
func (*ClockSource) settle(r *Request, err error) {
	level := zerolog.ErrorLevel
	if errors.Is(err, ErrUnavailable) {
		level = zerolog.WarnLevel
	}
	r.server.failure(r, err, level).Time("scheduled", r.scheduled).Msg(callFailed)
}
