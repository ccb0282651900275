package chaos_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"zamqp/tests/kit/rabbitmq"
)

// fault is one kind of harm.
type fault struct {
	kind string
	// deaths, unordered: see ledger.Fault.
	deaths    int
	unordered bool
	backlog   int           // messages that should wait when the fault begins
	hold      time.Duration // between break and heal, about
	breaks    func(*rig)
	heals     func(*rig)
	// ours: the broker stays well, so that work is expected as soon as heals begins.
	ours bool
	// survives: the remaining brokers are expected to continue at once.
	survives bool
}

// brokers is the allowed cost of a fault that ends channels: unknown, as publishes without an
// outcome are repeated, too. A fault that only delays the broker costs nothing.
const brokers = -1

// backlog is what waits in a broker when it dies: some seconds of work.
const backlog = 1500

// faultsOfNode are those of one RabbitMQ, or of the node of a cluster that pick chooses.
func faultsOfNode(prefix string, survives bool, pick func(*rig) *rabbitmq.Node) []fault {
	var node *rabbitmq.Node
	held := 0
	if survives {
		held = brokers // the others may take a frozen one for dead
	}
	chosen := func(do func(*rig)) func(*rig) {
		return func(r *rig) { node = pick(r); do(r) }
	}
	return []fault{
		{kind: prefix + "kill -9", deaths: brokers, backlog: backlog, hold: time.Second, survives: survives,
			breaks: chosen(func(r *rig) { node.Kill(r.t) }), heals: func(r *rig) { node.Restart(r.t) }},
		{kind: prefix + "stop", deaths: brokers, hold: time.Second, survives: survives,
			breaks: chosen(func(r *rig) { node.Stop(r.t) }), heals: func(r *rig) { node.Restart(r.t) }},
		{kind: prefix + "frozen", deaths: held, hold: 3 * time.Second,
			breaks: chosen(func(r *rig) { node.Pause(r.t) }), heals: func(r *rig) { node.Resume(r.t) }},
		{kind: prefix + "memory alarm", deaths: held, hold: 2 * time.Second,
			breaks: chosen(func(r *rig) { node.Ctl(r.t, "set_vm_memory_high_watermark", "0.00001") }),
			heals:  func(r *rig) { node.Ctl(r.t, "set_vm_memory_high_watermark", "0.5") }},
		{kind: prefix + "disk alarm", deaths: held, hold: 2 * time.Second,
			breaks: chosen(func(r *rig) { node.Ctl(r.t, "set_disk_free_limit", "mem_relative", "10000.0") }),
			heals:  func(r *rig) { node.Ctl(r.t, "set_disk_free_limit", "50MB") }},
	}
}

// faultsOfOurs are those of the server under test.
func faultsOfOurs(ours bool) []fault {
	return []fault{
		{kind: "ours: kill -9", deaths: 1, backlog: backlog, hold: 300 * time.Millisecond, ours: ours,
			breaks: func(r *rig) { r.ours[0].kill() }, heals: func(r *rig) { r.ours[0].start() }},
		{kind: "ours: drain", deaths: 1, hold: 300 * time.Millisecond, ours: ours,
			breaks: func(r *rig) { r.ours[0].drain() }, heals: func(r *rig) { r.ours[0].start() }},
		{kind: "ours: frozen", deaths: 1, hold: 2 * time.Second, ours: ours,
			breaks: func(r *rig) { r.ours[0].signal(syscall.SIGSTOP) }, heals: func(r *rig) { r.ours[0].signal(syscall.SIGCONT) }},
	}
}

// rolling replaces our process with another one, which starts before the old one is
// asked to end.
func rolling() fault {
	return fault{kind: "ours: rolling", deaths: 1, unordered: true, ours: true,
		breaks: func(r *rig) { r.ours[1].start(); r.ours[1].awaitReady() },
		heals: func(r *rig) {
			r.ours[0], r.ours[1] = r.ours[1], r.ours[0]
			r.target.Store(r.ours[0].url)
			r.ours[1].drain()
		}}
}

// frozenForLong holds the broker up for longer than confirm_timeout: publishes go
// to the spool, and each leaves it once.
func frozenForLong(node *rabbitmq.Node) fault {
	return fault{kind: "broker: frozen for long", hold: 8 * time.Second,
		breaks: func(r *rig) { node.Pause(r.t) }, heals: func(r *rig) { node.Resume(r.t) }}
}

// both kills the broker and our process at the same time.
func both(node *rabbitmq.Node) fault {
	return fault{kind: "broker and ours: kill -9", deaths: brokers, backlog: backlog, hold: 500 * time.Millisecond,
		breaks: func(r *rig) { r.ours[0].kill(); node.Kill(r.t) },
		heals:  func(r *rig) { r.ours[0].start(); node.Restart(r.t) }}
}

// spoolFull takes away the broker, then the space on the spool's disk, and gives both back.
func spoolFull(node *rabbitmq.Node, dir string) fault {
	filler := filepath.Join(dir, "filler")
	return fault{kind: "spool: disk full", deaths: brokers, hold: time.Second,
		breaks: func(r *rig) { node.Stop(r.t); fill(filler) },
		heals:  func(r *rig) { _ = os.Remove(filler); node.Restart(r.t) }}
}

// fill writes a file until the disk takes no more.
func fill(path string) {
	f, err := os.Create(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; size /= 2 {
		for chunk := make([]byte, size); err == nil; {
			_, err = f.Write(chunk)
		}
		err = nil
	}
}

// held is how long a fault lasts: about as long as it says, never twice the same.
func (f *fault) held() time.Duration {
	if f.hold == 0 {
		return 0
	}
	return f.hold/2 + rand.N(f.hold)
}
