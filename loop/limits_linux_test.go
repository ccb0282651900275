package loop_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zamqp/loop"
)

// Some tests need a process of their own: this test binary again, with one of these parts to play.
const (
	roleVar  = "ZAMQP_LOOP_TEST_ROLE"
	addrVar  = "ZAMQP_LOOP_TEST_ADDR"
	countVar = "ZAMQP_LOOP_TEST_COUNT"
)

// again runs one test of this binary in a process of its own, in the given role.
func again(t *testing.T, role string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), roleVar+"="+role), env...)
	return cmd
}

// Without free descriptors, the loop refuses what it cannot take, serves what it has, and
// accepts again when it can.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv(roleVar) == "" {
		if out, err := again(t, "server").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	r := start(t, loop.Options{AcceptPause: time.Millisecond})
	at := r.listen("tcp", "127.0.0.1:0", echo)
	old := dial(t, at)
	ask(t, old)
	// These are the clients' sockets, not connected yet: later there would be no descriptors
	// for them.
	var clients []int
	for range 20 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, fd)
	}
	highest, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	const spare = 5
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(highest)
	full := limit
	full.Cur = uint64(highest + spare)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		t.Fatal(err)
	}
	for _, fd := range clients {
		sa := &unix.SockaddrInet4{Port: at.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		if err := unix.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
	}
	// All of them are accepted or refused, and none is left hanging.
	r.until("all connections to be taken or refused", func() bool { return true })
	for deadline := time.Now().Add(patience); ; {
		s := r.exact()
		if s.Accepted+s.Refused == uint64(1+len(clients)) && s.Refused >= uint64(len(clients)-spare) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", s)
		}
	}
	ask(t, old) // is not disturbed
	for _, fd := range clients {
		_ = unix.Close(fd)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	ask(t, old)
	ask(t, dial(t, at))
}

// Listeners leave a share of the descriptors to files and dials, and take connections again when
// some were closed.
func TestListenersLeaveDescriptors(t *testing.T) {
	if os.Getenv(roleVar) == "" {
		if out, err := again(t, "clients").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if os.Getenv(roleVar) == "clients" {
		crowd(t)
		return
	}
	r := start(t, loop.Options{})
	fmt.Println(r.listen("tcp", "127.0.0.1:0", echo))
	var word string
	_, _ = fmt.Scan(&word)
	n := 0
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		defer f.Close()
		n++
	}
	_, _ = unix.Write(1, fmt.Appendln(nil, n))
	_, _ = fmt.Scan(&word)
}

// crowd is the clients of a server with 64 descriptors.
func crowd(t *testing.T) {
	// Package os has raised the soft limit to the hard one; the server gets 64 of both.
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur != l.Max || uint64(loop.DescriptorLimit()) != min(l.Max, 1<<30) {
		t.Fatalf("%+v, %v", l, err)
	}
	cmd := again(t, "server")
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\"", cmd.Args[0], cmd.Args[1]}
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var at string
	if _, err := fmt.Fscan(stdout, &at); err != nil {
		t.Fatal(err)
	}
	var taken []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("x")); err == nil {
			if _, err = c.Read(make([]byte, 1)); err == nil {
				taken = append(taken, c)
			}
		}
	}
	if len(taken) > 64-16 || len(taken) < 20 {
		t.Errorf("%d connections taken of 64 descriptors", len(taken))
	}
	fmt.Fprintln(stdin, "full")
	var files int
	if _, err := fmt.Fscan(stdout, &files); err != nil || files < 16 {
		t.Errorf("%d files could be opened: %v", files, err)
	}
	_ = taken[0].Close()
	for deadline := time.Now().Add(patience); !answered(t, at); {
		if time.Now().After(deadline) {
			t.Fatal("no connection was taken after one was closed")
		}
	}
}

// answered says whether a new connection is answered.
func answered(t *testing.T, at string) bool {
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte("x"))
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

// Not even the reserve is left: the listener pauses, and recovers by itself.
func TestOutOfDescriptorsWithoutReserve(t *testing.T) {
	if os.Getenv(roleVar) == "" {
		if out, err := again(t, "server").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	r := start(t, loop.Options{AcceptPause: time.Millisecond})
	at := r.listen("tcp", "127.0.0.1:0", echo)
	old := dial(t, at)
	ask(t, old)
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// With a limit below the reserve's own number, giving the reserve up does not help.
	full := limit
	full.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		t.Fatal(err)
	}
	sa := &unix.SockaddrInet4{Port: at.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(client, sa); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); r.exact().Pauses < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", r.Stats())
		}
	}
	ask(t, old)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	ask(t, old)
	ask(t, dial(t, at))
	if s := r.exact(); s.Accepted != 3 { // the one that had to wait, too
		t.Errorf("%+v", s)
	}
}

// Ten thousand idle connections, each of which has been used, take less than half a KiB of our
// memory each.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const connections, most = 10_000, 400
	if os.Getenv(roleVar) == "clients" {
		for range connections {
			c, err := net.Dial("tcp", os.Getenv(addrVar))
			if err != nil {
				t.Fatal(err)
			}
			ask(t, c)
			defer c.Close()
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	if testing.Short() {
		t.Skip("ten thousand connections")
	}
	var limit unix.Rlimit
	if _ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); limit.Cur < connections+200 {
		t.Skipf("only %d descriptors allowed", limit.Cur)
	}
	r := start(t, loop.Options{})
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { return &small{conn: c} })
	before := memory()
	cmd := again(t, "clients", addrVar+"="+at.String(), countVar+"="+fmt.Sprint(connections))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _, _ = io.Copy(io.Discard, stdout); _ = cmd.Wait() }()
	if line := make([]byte, 256); true {
		for said := ""; ; {
			n, err := stdout.Read(line)
			if said += string(line[:n]); len(said) > 0 && containsReady(said) {
				break
			}
			if err != nil {
				t.Fatalf("the clients failed: %s", said)
			}
		}
	}
	each := (memory() - before) / connections
	t.Logf("%d bytes a connection, peer included", each)
	if each > most {
		t.Errorf("%d bytes a connection, want at most %d", each, most)
	}
	if s := r.exact(); s.Open != connections {
		t.Errorf("%d open", s.Open)
	}
}

func containsReady(s string) bool {
	for i := 0; i+5 <= len(s); i++ {
		if s[i:i+5] == "ready" {
			return true
		}
	}
	return false
}

func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// small is an echo that holds nothing while it is idle, and has a deadline as every real peer has.
type small struct {
	conn *loop.Conn
	out  []byte
}

func (s *small) Feed(in []byte) (int, error) { s.out = append(s.out, in...); return len(in), nil }
func (s *small) Pending() []byte             { return s.out }
func (s *small) Sent(n int) {
	if s.out = s.out[n:]; len(s.out) == 0 {
		s.out = nil
	}
}
func (s *small) Tick(now time.Time) time.Time { return now.Add(time.Hour) }
func (s *small) Lost(error)                   {}
