package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run of this command.
type bench struct {
	*options
	ctx     context.Context
	dir     string // for logs; removed at the end
	broker  *broker
	rabbit  *target  // the node that broker workloads share
	atEnd   []func() // in the order in which they started
	started int      // number of processes, which names their logs
	running string   // the workload
	ownEnv  []string // more of oursEnv
}

func newBench(ctx context.Context, o *options) (*bench, error) {
	dir, err := os.MkdirTemp("", "zamqp-bench-")
	if err != nil {
		return nil, err
	}
	return &bench{options: o, ctx: ctx, dir: dir}, nil
}

func (b *bench) close() {
	b.progress("")
	b.stopBroker()
	for _, f := range b.atEnd {
		f()
	}
	_ = os.RemoveAll(b.dir) // it is in the system's temporary directory anyway
}

// progress shows what runs now, on a terminal in one line that changes.
func (b *bench) progress(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
	} else if text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
}

// A process is a started server.
type process struct {
	name   string
	cmd    *exec.Cmd
	lines  chan string // lines of standard output
	exited chan struct{}
	log    string // path of its standard error
}

// start starts a contestant with more flags and environment.
func (b *bench) start(c contestant, env []string, args ...string) (*process, error) {
	b.started++
	p := &process{name: c.name, lines: make(chan string, 64), exited: make(chan struct{}),
		log: filepath.Join(b.dir, fmt.Sprintf("%d-%s.log", b.started, c.prog.name))}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	argv := append(append([]string{}, c.prog.argv...), args...)
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stderr = log
	p.cmd.Env = append(environment(), env...)
	if c.procs > 0 {
		p.cmd.Env = append(p.cmd.Env, "GOMAXPROCS="+strconv.Itoa(c.procs))
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case p.lines <- scan.Text():
			default: // nobody waits for a server that prints too much
			}
		}
		_ = p.cmd.Wait() // fail says how it ended
		close(p.exited)
	}()
	return p, nil
}

// environment is our environment without the variables that would configure a
// server without the bench's knowledge.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "ZAMQP_") || strings.HasPrefix(setting, "GO")
	})
}

// expect waits for a line that begins with word and returns what follows it.
func (p *process) expect(ctx context.Context, word string, limit time.Duration) (string, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case line := <-p.lines:
			if rest, ok := strings.CutPrefix(line, word); ok {
				return strings.TrimSpace(rest), nil
			}
		case <-p.exited:
			return "", p.fail(fmt.Errorf("it ended before it said %q", word))
		case <-timer.C:
			return "", p.fail(fmt.Errorf("it did not say %q within %s", word, limit))
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// cpu returns the user and system time of all its threads so far, in nanoseconds.
// /proc/PID/stat has the same sum, rounded to hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	used, err := cpuOf(p.cmd.Process.Pid)
	if err != nil {
		return 0, p.fail(err)
	}
	return used, nil
}

// cpuOf is cpu of any process.
func cpuOf(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// quiet waits until the process has finished the work that it does by itself, such
// as the acks after its last handler call. It returns its CPU clock then.
func (p *process) quiet(ctx context.Context) (time.Duration, error) { return quiet(ctx, p.cpu) }

// quiet waits for any process whose CPU clock can be read.
func quiet(ctx context.Context, cpu func() (time.Duration, error)) (time.Duration, error) {
	const (
		pause = 20 * time.Millisecond
		idle  = 200 * time.Microsecond // in a pause; runtimes tick a little
		calm  = 3                      // pauses in a row: on a busy machine the process may get no time in one of them
	)
	last, err := cpu()
	for still := 0; err == nil && still < calm; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		var now time.Duration
		if now, err = cpu(); now-last < idle {
			still++
		} else {
			still = 0
		}
		last = now
	}
	return last, err
}

// stop asks the process to end and waits until it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// fail adds the end of the process's log to an error about it.
func (p *process) fail(err error) error {
	text, _ := os.ReadFile(p.log) // an empty log adds nothing
	const most = 2000
	text = text[max(0, len(text)-most):]
	if len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w; its log ends:\n%s", err, text)
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }() // only its port is needed
	return ln.Addr().String(), nil
}

// errWrong marks wrong answers: a fast server that answers wrongly is no result.
var errWrong = errors.New("wrong answers")
