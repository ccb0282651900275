package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A target is a broker under load, ours or RabbitMQ, on one core. The load comes
// from another core.
type target struct {
	b    *bench
	url  string
	pid  int
	dir  string // data of the broker
	stop func()

	began time.Time // the broker's process
}

// brokerWorkloads compare the embedded broker with RabbitMQ.
func brokerWorkloads(p programSet) []workload {
	both := []contestant{{ours, p.zamqpBroker, 0}, {rabbit, p.rabbitmq, 0}}
	window := "The load generator sends prepared frames; brokers run on one core, it on another."
	list := []workload{
		{name: "broker-publish", title: "Broker: publish and confirm, transient", unit: "message", run: loadOf(1, "publish"), goals: []goal{timesFaster(rabbit, 5)},
			what: "Messages of 256 B, at most 2000 unconfirmed, into a queue that nobody reads. " + window},
		{name: "broker-publish-durable", title: "Broker: publish and confirm, persistent", unit: "message", run: loadOf(1, "publish", "-persistent"), goals: []goal{timesFaster(rabbit, 2)},
			what: "The same, persistent messages into a durable queue: each confirm follows an fsync."},
		{name: "broker-consume", title: "Broker: consume and ack, transient", unit: "message", run: loadOf(1, "consume"), goals: []goal{timesFaster(rabbit, 5)},
			what: "A full queue is read with a prefetch of 2000, each message acked by a frame of its own."},
		{name: "broker-consume-durable", title: "Broker: consume and ack, persistent", unit: "message", run: loadOf(1, "consume", "-persistent"), goals: []goal{timesFaster(rabbit, 2)},
			what: "The same with persistent messages in a durable queue."},
		{name: "broker-rpc-1", title: "Broker: RPC, 1 outstanding", unit: "call", share: oneByOne, run: loadOf(oneByOne, "rpc", "-window", "1"),
			what: "Requests by direct reply-to to an echo consumer: two messages through the broker, one request at a time."},
		{name: "broker-rpc-64", title: "Broker: RPC, 64 outstanding", unit: "call", run: loadOf(1, "rpc", "-window", "64"), goals: []goal{timesFaster(rabbit, 5)},
			what: "The same with 64 requests outstanding."},
		{name: "broker-start", title: "Broker: start to first confirmed message", unit: "start", latency: true, run: startOfBroker, goals: []goal{within(50 * time.Millisecond)},
			what: "From the start of the process, with an empty data directory, to the confirm of the first persistent message, a client trying all the time."},
		{name: "broker-memory", title: "Broker: memory of 1,000,000 queued messages", unit: "message", memory: true, memoryKind: "resident", once: true, run: memoryOfBroker, goals: []goal{atMostResident(600e6)},
			what: "Resident memory of the broker process with 1,000,000 transient messages of 256 B in one queue, all of it counted."},
	}
	for i := range list {
		list[i].contestants = slices.Clone(both)
	}
	return list
}

// oneByOne is by how much fewer requests are made where each waits for the one
// before. RabbitMQ takes most of a millisecond for one, so the usual number would
// take minutes a round.
const oneByOne = 20

// rabbit is the name of RabbitMQ as a contestant.
const rabbit = "RabbitMQ"

// pinned puts a command on one core, if there are two.
func pinned(core int, argv ...string) []string {
	if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
		return argv
	}
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
}

// startPinned starts a command on one core, if there are two. The command inherits
// the core from this thread, because starting taskset first would take
// milliseconds.
func startPinned(core int, cmd *exec.Cmd) error {
	var all, one unix.CPUSet
	if runtime.NumCPU() < 2 || unix.SchedGetaffinity(0, &all) != nil {
		return cmd.Start()
	}
	one.Set(core)
	if unix.SchedSetaffinity(0, &one) == nil { // fails if we may not use that core; then it runs on any
		defer func() { _ = unix.SchedSetaffinity(0, &all) }() // as before
	}
	return cmd.Start()
}

// target starts a broker. RabbitMQ takes long to start, so one node serves all
// workloads that do not ask for a fresh one. Ours starts for each workload.
func (b *bench) target(c contestant, persistent, fresh bool) (*target, error) {
	if c.name != rabbit {
		return b.startOurBroker(persistent, "")
	}
	if fresh {
		return b.startRabbit("")
	}
	if b.rabbit == nil {
		b.progress("starting RabbitMQ on one core")
		var err error
		if b.rabbit, err = b.startRabbit(""); err != nil {
			return nil, err
		}
		b.atEnd = append(b.atEnd, b.rabbit.stop)
	}
	shared := *b.rabbit
	shared.stop = func() {}
	return &shared, nil
}

// startOurBroker starts `zamqp broker` at an address; "" picks a free one.
func (b *bench) startOurBroker(persistent bool, addr string) (*target, error) {
	t := &target{b: b}
	if addr == "" {
		var err error
		if addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	t.url = "amqp://guest:guest@" + addr + "/"
	if persistent {
		var err error
		if t.dir, err = os.MkdirTemp(b.dir, "broker-"); err != nil {
			return nil, err
		}
	}
	var log bytes.Buffer
	cmd := exec.Command("bin/zamqp", "broker", "-o", "broker.listen="+addr, "-o", "broker.data_dir="+t.dir, "-o", "broker.memory_max=8GiB", "-o", "log.level=warn")
	cmd.Env, cmd.Stderr = environment(), &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	t.began = time.Now()
	if err := startPinned(0, cmd); err != nil {
		return nil, err
	}
	t.pid = cmd.Process.Pid
	t.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		if err := cmd.Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: zamqp broker: %v: %s\n", err, log.String())
		}
		_ = os.RemoveAll(t.dir) // it is below b.dir, which is removed anyway
	}
	return t, nil
}

// startRabbit starts a RabbitMQ node, on the given port if there is one.
func (b *bench) startRabbit(port string) (*target, error) {
	b.started++
	t := &target{b: b, dir: fmt.Sprintf("%s-rabbitmq-%d", b.dir, b.started)}
	args := []string{rabbitScript, "start", "-for", strconv.Itoa(os.Getpid()), "-rm"}
	if port != "" {
		args = append(args, "-port", port)
	}
	argv := pinned(0, append(args, t.dir)...)
	cmd := exec.CommandContext(b.ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	t.began = time.Now()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("start RabbitMQ: %w", err)
	}
	t.url = strings.TrimSpace(string(out))
	text, err := os.ReadFile(filepath.Join(t.dir, "node.pid"))
	if err != nil {
		return nil, err
	}
	if t.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return nil, err
	}
	t.stop = func() { _ = exec.Command(rabbitScript, "stop", t.dir).Run() } // else -for ends it
	return t, nil
}

// load runs the load generator in a mode to its end, and reads the CPU clocks when
// it prints "first" and "done".
func (t *target) load(args ...string) (sample, error) {
	argv := pinned(1, append([]string{"bin/brokerload", "-url", t.url}, args...)...)
	p, err := t.b.start(contestant{name: "brokerload", prog: &program{name: "brokerload", argv: argv}}, nil)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	mode := args[len(args)-1]
	var before time.Duration
	if mode == "publish" || mode == "consume" || mode == "rpc" {
		if _, err := p.expect(t.b.ctx, "first", runLimit); err != nil {
			return sample{}, err
		}
		if before, err = cpuOf(t.pid); err != nil {
			return sample{}, err
		}
	} else if mode == "drop" || mode == "fill" {
		<-p.exited
		if !p.cmd.ProcessState.Success() {
			return sample{}, p.fail(errors.New("it failed"))
		}
		return sample{}, nil
	}
	said, err := p.expect(t.b.ctx, "done", runLimit)
	if err != nil {
		return sample{}, err
	}
	after, err := quiet(t.b.ctx, func() (time.Duration, error) { return cpuOf(t.pid) })
	if err != nil {
		return sample{}, err
	}
	s := sample{cpu: after - before}
	if _, err := fmt.Sscan(said, &s.count, (*int64)(&s.wall)); err != nil {
		return sample{}, fmt.Errorf("brokerload said %q: %w", said, err)
	}
	return s, nil
}

// loadOf returns the run of a workload that is one mode of the load generator. It
// uses one in share of the messages that were asked for.
func loadOf(share int, mode string, flags ...string) func(*bench, contestant) (sample, error) {
	return func(b *bench, c contestant) (s sample, err error) {
		persistent := slices.Contains(flags, "-persistent")
		t, err := b.target(c, persistent, false)
		if err != nil {
			return sample{}, err
		}
		defer t.stop()
		sizes := append([]string{"-count", strconv.Itoa(b.messages / share), "-warm", strconv.Itoa(b.warmMessages() / share)}, flags...)
		args := func(mode string) []string { return append(slices.Clone(sizes), mode) }
		if err := t.ready(b.ctx); err != nil {
			return sample{}, err
		}
		if mode == "consume" {
			if _, err := t.load(args("fill")...); err != nil {
				return sample{}, err
			}
			if _, err := quiet(b.ctx, func() (time.Duration, error) { return cpuOf(t.pid) }); err != nil {
				return sample{}, err
			}
		}
		if s, err = t.load(args(mode)...); err != nil {
			return sample{}, err
		}
		_, err = t.load("drop")
		return s, err
	}
}

// ready waits until the broker takes a message. The measurement comes later.
func (t *target) ready(ctx context.Context) error {
	if _, err := t.load("-queue", "brokerload.ready", "once"); err != nil {
		return err
	}
	_, err := t.load("-queue", "brokerload.ready", "drop")
	return errors.Join(err, ctx.Err())
}

// startOfBroker measures the time until the first confirm. Its client is refused
// once before the broker starts.
func startOfBroker(b *bench, c contestant) (sample, error) {
	addr, err := freeAddr()
	if err != nil {
		return sample{}, err
	}
	argv := pinned(1, "bin/brokerload", "-url", "amqp://guest:guest@"+addr+"/", "-persistent", "once")
	p, err := b.start(contestant{name: "brokerload", prog: &program{name: "brokerload", argv: argv}}, nil)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	if _, err := p.expect(b.ctx, "trying", startLimit); err != nil {
		return sample{}, err
	}
	type confirmed struct {
		at  time.Time
		err error
	}
	first := make(chan confirmed, 1)
	go func() { // the script that starts RabbitMQ may return later
		_, err := p.expect(b.ctx, "done", runLimit)
		first <- confirmed{time.Now(), err}
	}()
	var t *target
	if c.name == rabbit {
		t, err = b.startRabbit(addr[strings.LastIndexByte(addr, ':')+1:])
	} else {
		t, err = b.startOurBroker(true, addr)
	}
	if err != nil {
		return sample{}, err
	}
	defer t.stop()
	f := <-first
	if f.err != nil {
		return sample{}, f.err
	}
	cpu, err := cpuOf(t.pid)
	return sample{count: 1, wall: f.at.Sub(t.began), cpu: cpu}, err
}

// memoryOfBroker fills a queue and reads the broker's resident memory.
func memoryOfBroker(b *bench, c contestant) (sample, error) {
	const queued = 1_000_000
	t, err := b.target(c, false, !b.smoke)
	if err != nil {
		return sample{}, err
	}
	defer t.stop()
	n := queued
	if b.smoke {
		n = b.messages
	}
	if _, err := t.load("-queue", "brokerload.ready", "once"); err != nil {
		return sample{}, err
	}
	if _, err := t.load("-count", strconv.Itoa(n), "-warm", "0", "fill"); err != nil {
		return sample{}, err
	}
	words := strings.Fields(field(fmt.Sprintf("/proc/%d/status", t.pid), "VmRSS"))
	if len(words) == 0 {
		return sample{}, errors.New("the broker has ended")
	}
	kib, err := strconv.ParseInt(words[0], 10, 64)
	return sample{count: n, bytes: kib << 10}, err
}
