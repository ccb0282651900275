package doortest

import (
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/amqpdoor"
	"zamqp/publisher/dedupe"
	"zamqp/publisher/inhand"
	"zamqp/publisher/spool"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/wiretest"
)

// Setup describes a process.
type Setup struct {
	Registry     *publisher.Registry
	Client       client.Config
	Prefetch     int         // of consumers that name no prefetch
	Spool        *crashfs.FS // the disk of the connection's spool; nil = no spool
	SpoolMax     int64
	SpoolReserve int64
	IDs          *crashfs.FS // the disk for the ids of consumers with dedupe
	InHand       string      // the directory of the in-hand files; "" = none
}

// Process is one run of a server with one connection, "default".
type Process struct {
	Server *publisher.Server
	Door   *amqpdoor.Door
	Client *client.Client
	Store  *spool.Spool // nil = no spool
	Log    *strings.Builder
	Calls  []*Call

	w    *World
	link *wiretest.Link
	wire *wiretest.Wire
	disk *crashfs.FS
	dead bool

	todo      []func()
	offloaded []func()
}

// Start starts a process, which dials at once.
func (w *World) Start(s Setup) *Process {
	w.T.Helper()
	p := &Process{w: w, disk: s.Spool, Log: &strings.Builder{}}
	log := zerolog.New(p.Log).Level(zerolog.InfoLevel)
	server, err := publisher.NewServer(s.Registry, nil, nil, publisher.Options{ConflictRetries: 3, Log: log})
	if err != nil {
		w.T.Fatal(err)
	}
	p.Server = server
	server.Start(runtime{p})
	p.Door = amqpdoor.New(server, runtime{p}, log)
	if s.Spool != nil {
		p.Store, _, err = spool.Open(spool.Options{Dir: "spool", Max: s.SpoolMax, FS: s.Spool, Offload: runtime{p}.offload,
			After: func(wait time.Duration, fn func()) { runtime{p}.After(wait, fn) }, Reserve: s.SpoolReserve})
		if err != nil {
			w.T.Fatal(err)
		}
		p.Door.Spool(publisher.DefaultConnection, p.Store)
	}
	for name, c := range s.Registry.Consumers() {
		if c.Dedupe.Key != "" {
			p.openIDs(name, c.Dedupe.WithDefaults(), s.IDs)
		}
	}
	if s.InHand != "" {
		j, err := inhand.Open(inhand.Options{Dir: s.InHand, Now: w.Clock.Now})
		if err != nil {
			w.T.Fatal(err)
		}
		p.Door.InHand(j)
		w.T.Cleanup(func() { j.Close(false) })
	}
	cfg := s.Client
	cfg.Seed = uint64(w.seed) + uint64(len(w.processes))
	p.Client = client.New(cfg, p)
	p.Door.Link(publisher.DefaultConnection, p.Client, s.Prefetch, func(string) bool { return true })
	p.startClocks(s.Registry, log)
	w.processes = append(w.processes, p)
	w.T.Cleanup(func() {
		if w.T.Failed() && p.Log.Len() > 0 {
			w.T.Logf("log of a process:\n%s", p.Log)
		}
		p.end()
	})
	p.dial()
	p.tick()
	return p
}

func (p *Process) openIDs(consumer string, d publisher.Dedupe, disk *crashfs.FS) {
	p.w.T.Helper()
	store, _, err := dedupe.Open(dedupe.Options{Dir: consumer, Keep: d.Keep, Max: d.Max, Now: p.w.Clock.Now, FS: disk, Offload: runtime{p}.offload,
		After: func(wait time.Duration, fn func()) { runtime{p}.After(wait, fn) }, Failed: func(error) { _ = p.Server.Pause(consumer) }})
	if err != nil {
		p.w.T.Fatal(err)
	}
	p.Door.Dedupe(consumer, store)
}

func (p *Process) tick() {
	if p.dead {
		return
	}
	if next := p.Client.Tick(p.w.Clock.Now()); !next.IsZero() {
		p.w.Clock.After(max(next.Sub(p.w.Clock.Now()), 1), p.tick)
	}
}

// Redial and Note make the process the host of its client.
func (p *Process) Redial(after time.Duration) { p.w.Clock.After(after, p.dial) }

// Note receives the events of the connection.
func (p *Process) Note(client.Event) {}

var errRefused = errors.New("doortest: connection refused")

func (p *Process) dial() {
	switch {
	case p.dead:
	case p.w.Down:
		p.Client.DialFailed(errRefused)
	default:
		ours, theirs := wiretest.NewWire(), wiretest.NewWire()
		p.wire = ours
		p.link = wiretest.Join(p.w.T, p.w.Clock, p.w.seed,
			ours.Bind(&side{Peer: p.Client.Connect(ours), w: p.w, wire: ours, p: p}),
			theirs.Bind(&side{Peer: p.w.Broker.Connect(theirs, nil), w: p.w, wire: theirs, p: p, broker: true}))
		p.w.links = append(p.w.links, p.link)
	}
}

// turn runs the posted functions in order, and after each the calls that can go on.
// Offloaded work is slower than all of that, and slower than what the wires carry
// meanwhile.
func (p *Process) turn() (busy bool) {
	for !p.dead {
		for !p.dead && p.Server.RunReady() {
			busy = true
		}
		if len(p.todo) == 0 || p.dead {
			break
		}
		next := p.todo[0]
		p.todo = p.todo[1:]
		next()
		busy = true
	}
	if !busy && !p.dead && len(p.offloaded) > 0 { // the wires go on before the next piece of offloaded work
		next := p.offloaded[0]
		p.offloaded = p.offloaded[1:]
		next()
		busy = true
	}
	return busy
}

// Crash ends the process and takes the power away from its disk. The disk has what
// was synced, and a random part of the rest. disk is what crashfs.FS.Crash has left
// at the moment that the test has chosen.
func (p *Process) Crash() { p.die() }

// Kill ends the process as kill -9 does: none of its code runs any more, and its
// disk has everything that was written. The disk is for the next process.
func (p *Process) Kill() *crashfs.FS {
	p.die()
	if p.disk == nil {
		return nil
	}
	return p.disk.Kill()
}

// Killed reports whether Crash or Kill has ended the process.
func (p *Process) Killed() bool { return p.dead }

func (p *Process) die() {
	p.dead = true
	if p.wire != nil {
		p.wire.Abort(errors.New("doortest: the process was killed"))
	}
}

// end releases the process when its test is over. The calls of a killed process
// wait for ever and keep what they refer to, so it must not refer to much.
func (p *Process) end() {
	p.die()
	p.Server.Close()
	p.wire, p.link, p.todo, p.offloaded = nil, nil, nil, nil
	p.w.Broker, p.w.host, p.w.links, p.w.processes, p.w.observer = nil, nil, nil, nil, nil
	if p.disk != nil {
		clear(p.disk.Files)
	}
}

// Shutdown ends the process cleanly, as SIGTERM does. It returns when that is
// done.
func (p *Process) Shutdown(most time.Duration) {
	p.w.T.Helper()
	over := false
	p.Door.Stop(func() {
		p.Server.Drain(func() {
			p.Door.Close(func(error) { over = true })
		})
	})
	p.w.Until("the process ends", most, func() bool { return over })
	p.dead = true
}

// Status is what the process reports about one of its parts.
func (p *Process) Status(kind, name string) publisher.Status {
	for _, s := range p.Door.Report() {
		if s.Kind == kind && s.Name == name {
			return s
		}
	}
	return publisher.Status{}
}

// runtime is the loop under a process.
type runtime struct{ p *Process }

func (r runtime) Now() time.Time                  { return r.p.w.Clock.Now() }
func (r runtime) Since(t time.Time) time.Duration { return r.Now().Sub(t) }
func (r runtime) Enter(*string)                   {}
func (r runtime) Post(fn func()) bool {
	r.p.todo = append(r.p.todo, fn)
	return !r.p.dead
}

func (r runtime) Offload(_ uintptr, fn, done func()) { r.offload(fn, done) }

func (r runtime) offload(fn, done func()) {
	r.p.offloaded = append(r.p.offloaded, func() {
		fn()
		r.p.todo = append(r.p.todo, done)
	})
}

func (r runtime) After(d time.Duration, fn func()) func() bool {
	t := r.p.w.Clock.After(d, func() {
		if !r.p.dead {
			fn()
		}
	})
	return t.Stop
}

// Turn lets the world go on until a Publish on the test's goroutine is over.
func (r runtime) Turn(over func() bool) {
	r.p.w.Until("a publish outside of a call ends", 10*time.Minute, func() bool { return over() || r.p.dead })
}
