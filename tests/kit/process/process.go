// Package process starts programs for tests and ends them.
package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/wait"
)

// Process is a program that runs or has ended.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed at its end
	err   error         // what Wait returned; valid after ended
}

// Start starts cmd. The caller has to end it.
func Start(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// State says how it ended, with its exit code. It waits for the end.
func (p *Process) State() *os.ProcessState { <-p.ended; return p.cmd.ProcessState }

// Ended is closed when the process has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Running reports whether it has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Err returns how it ended: nil for exit code 0. It waits for the end.
func (p *Process) Err() error { <-p.ended; return p.err }

// Signal sends a signal. A process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends it as kill -9 does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// ErrStuck is the error of a process that did not end when it was asked to.
var ErrStuck = errors.New("the process did not end, and was killed")

// Stop ends it by SIGTERM and returns how it ended. A process that still runs after
// [wait.Patience] is killed: [ErrStuck].
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.Wait()
}

// Wait waits for its end, like Stop, but without a signal.
func (p *Process) Wait() error {
	select {
	case <-p.ended:
		return p.err
	case <-time.After(wait.Patience):
		p.Kill()
		return fmt.Errorf("%w after %v", ErrStuck, wait.Patience)
	}
}

// Environment returns this process's environment without ZAMQP_ variables, and with
// more. A server takes each of these variables as a setting, and an unknown one is
// an error.
func Environment(more ...string) []string {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ZAMQP_") })
	return append(own, more...)
}

// FreeAddress returns an address of loopback on which nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	addr, err := UnusedAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// UnusedAddress is FreeAddress for code outside of a test.
func UnusedAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
