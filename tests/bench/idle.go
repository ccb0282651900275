package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// idle opens keep-alive connections and gets one answer on each. When all are
// silent, it reads by how much the process has grown.
func idle(b *bench, c contestant) (sample, error) {
	if err := raiseFiles(b.options.idle + 500); err != nil {
		return sample{}, err
	}
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	// What the process needs for any client at all does not count for a connection.
	for range 20 {
		if _, err := s.probe(); err != nil {
			return sample{}, err
		}
	}
	time.Sleep(200 * time.Millisecond)
	before, err := s.private()
	if err != nil {
		return sample{}, err
	}
	cpuBefore, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	conns, err := s.hold(b, b.options.idle)
	defer drop(conns)
	if err != nil {
		return sample{}, s.fail(err)
	}
	wall := time.Since(began)
	time.Sleep(b.warm) // for work that the server does later
	after, err := s.private()
	if err != nil {
		return sample{}, err
	}
	cpuAfter, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	// The connections must still be served; else the server did not hold them.
	for i := 0; i < len(conns); i += max(1, len(conns)/100) {
		if err := s.hello(conns[i]); err != nil {
			return sample{}, s.fail(fmt.Errorf("connection %d after a pause: %w", i, err))
		}
	}
	return sample{count: len(conns), wall: wall, cpu: cpuAfter - cpuBefore, bytes: after - before}, nil
}

// hold opens n connections. After an error it still returns those that it opened.
func (s *server) hold(b *bench, n int) (conns []net.Conn, err error) {
	for range n {
		if b.ctx.Err() != nil {
			return conns, b.ctx.Err()
		}
		conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
		if err != nil {
			return conns, fmt.Errorf("connection %d: %w", len(conns), err)
		}
		conns = append(conns, conn)
		if err := s.hello(conn); err != nil {
			return conns, fmt.Errorf("connection %d: %w", len(conns), err)
		}
	}
	return conns, nil
}

// hello gets one answer on the connection.
func (s *server) hello(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, s.helloRequest()); err != nil {
		return err
	}
	return readHello(bufio.NewReaderSize(conn, 512))
}

// drop closes the connection with a reset: ten thousand sockets in TIME_WAIT would
// use up the ports of the next contestants.
func drop(conns []net.Conn) {
	for _, conn := range conns {
		_ = conn.(*net.TCPConn).SetLinger(0) // if it fails, the socket lingers
		_ = conn.Close()                     // nothing more is expected from it
	}
}

// private returns the octets of memory that belong only to this process.
func (s *server) private() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var kib int64
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "Private_") {
			continue
		}
		fields := strings.Fields(line)
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: %q: %w", line, err)
		}
		kib += n
	}
	return kib << 10, nil
}

// raiseFiles allows n descriptors, in this process and in those that it starts.
func raiseFiles(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	want := uint64(n)
	if limit.Cur >= want {
		return nil
	}
	limit.Cur, limit.Max = want, max(want, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d descriptors needed (ulimit -n %d): %w", n, n, err)
	}
	return nil
}
