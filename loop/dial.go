package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is the timeout for callers that give none.
const dialTimeout = 30 * time.Second

// target is one address to try.
type target struct {
	sa     unix.Sockaddr
	family int
	name   string
}

// dial is a connection that is being opened. It is in the poller while one of its addresses is
// being tried.
type dial struct {
	loop    *Loop
	network string
	addr    string
	done    func(*Conn, error) Peer // nil once called
	until   int64                   // ns after Loop.base
	timer   *Timer                  // the deadline of the dial, or of the address that is being tried
	cancel  context.CancelFunc      // ends the look-up
	targets []target                // not yet tried
	trying  target
	fd      int
	errs    []error // the errors of the addresses that were tried
}

// Dial opens a connection to addr; network is tcp, tcp4, tcp6 or unix. It never blocks: names are
// resolved on another goroutine, and the addresses found are tried one after the other, each with a
// share of the remaining timeout (30 s if timeout is 0). done is called exactly once, on the loop,
// and never inside Dial. It gets the connection and returns its Peer (nil closes it), or it gets an
// error that names the address; then its result is ignored. If the loop ends first, the error is
// ErrStopped.
func (l *Loop) Dial(network, addr string, timeout time.Duration, done func(*Conn, error) Peer) {
	l.debug.onThread(l, "Loop.Dial")
	if timeout <= 0 {
		timeout = dialTimeout
	}
	d := &dial{loop: l, network: network, addr: addr, done: done, fd: -1}
	d.until = int64(time.Since(l.base)) + int64(timeout)
	l.dials[d] = struct{}{}
	d.timer = l.After(timeout, d.timedOut)
	if network == "unix" {
		d.targets = []target{{&unix.SockaddrUnix{Name: addr}, unix.AF_UNIX, addr}}
		l.Post(d.next)
		return
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		err = checkNetwork(network)
	}
	if err != nil {
		l.Post(func() { d.fail(err) })
		return
	}
	ip, notIP := netip.ParseAddr(host)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if notIP == nil && notNumber == nil {
		d.found([]netip.Addr{ip}, int(number))
		l.Post(d.next)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	d.cancel = cancel
	l.pumps.Add(1)
	l.helpers.Add(1)
	l.helped = true
	go d.resolve(ctx, host, port)
}

func checkNetwork(network string) error {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return nil
	}
	return fmt.Errorf("unknown network %q; use tcp, tcp4, tcp6 or unix", network)
}

// resolve runs on its own goroutine and posts what it found.
func (d *dial) resolve(ctx context.Context, host, port string) {
	defer d.loop.pumps.Done()
	defer d.loop.helpers.Add(-1)
	number, err := net.DefaultResolver.LookupPort(ctx, d.network, port)
	var ips []netip.Addr
	if err == nil {
		if host == "" { // as in package net, this means this machine
			ips = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
		} else {
			ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip"+d.network[len("tcp"):], host)
		}
	}
	d.loop.Post(func() {
		if d.done == nil { // timed out, or the loop ends
			return
		}
		if err != nil {
			d.fail(err)
			return
		}
		d.found(ips, number)
		d.next()
	})
}

func (d *dial) found(ips []netip.Addr, port int) {
	for _, ip := range ips {
		zone := ip.Zone()
		ip = ip.Unmap()
		name := netip.AddrPortFrom(ip, uint16(port)).String()
		switch {
		case ip.Is4() && d.network != "tcp6":
			d.targets = append(d.targets, target{&unix.SockaddrInet4{Port: port, Addr: ip.As4()}, unix.AF_INET, name})
		case ip.Is6() && d.network != "tcp4":
			sa := &unix.SockaddrInet6{Port: port, Addr: ip.As16(), ZoneId: zoneIndex(zone)}
			d.targets = append(d.targets, target{sa, unix.AF_INET6, name})
		}
	}
}

func zoneIndex(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}

// next tries the next address.
func (d *dial) next() {
	l := d.loop
	for d.done != nil {
		if len(d.targets) == 0 {
			d.exhausted()
			return
		}
		d.trying = d.targets[0]
		left := d.until - int64(time.Since(l.base))
		if left <= 0 {
			d.errs = append(d.errs, os.ErrDeadlineExceeded)
			d.exhausted()
			return
		}
		d.timer.Reset(time.Duration(left / int64(len(d.targets))))
		d.targets = d.targets[1:]
		if err := d.try(); err == nil {
			return
		} else {
			d.failed(err)
		}
	}
}

// try starts a connect. A result of nil means that the poller will report the result.
func (d *dial) try() error {
	l := d.loop
	fd, err := socket(d.trying.family)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if d.trying.family != unix.AF_UNIX {
		noDelay(fd)
	}
	err = unix.Connect(fd, d.trying.sa)
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EINTR) {
		closeFD(fd)
		return os.NewSyscallError("connect", err)
	}
	// The poller also reports a connect that is complete already.
	if err := l.register(fd, d, writable); err != nil {
		closeFD(fd)
		return os.NewSyscallError("poll", err)
	}
	d.fd = fd
	return nil
}

// ready is called when the connect has succeeded or failed.
func (d *dial) ready(readiness) {
	l := d.loop
	if err := d.outcome(); err != nil {
		l.release(d.fd)
		d.fd = -1
		d.failed(os.NewSyscallError("connect", err))
		d.next()
		return
	}
	fd, done := d.fd, d.done
	d.fd = -1
	d.forget()
	c := l.newConn(fd, endpointOf(d.trying.sa))
	c.want = readable
	l.occupy(fd, c)
	l.count.Dialed++
	if err := l.poll.change(fd, l.gen, readable); err != nil {
		// The loop calls Lost of the Peer that done returns.
		defer c.doom(os.NewSyscallError("poll", err), false)
	}
	c.open(func(c *Conn) Peer { return done(c, nil) })
}

func (d *dial) outcome() error {
	if err := socketError(d.fd); err != nil {
		return err
	}
	if d.trying.family == unix.AF_UNIX {
		return nil
	}
	peer, err := unix.Getpeername(d.fd)
	if err != nil {
		return err
	}
	// If nobody listens on a local port, the system may choose the same port for our own end. TCP
	// then connects the socket to itself.
	if local := localEndpoint(d.fd); local == endpointOf(peer) {
		return syscall.ECONNREFUSED
	}
	return nil
}

// timedOut ends the trial of one address, or the look-up.
func (d *dial) timedOut() {
	if d.fd >= 0 {
		d.loop.release(d.fd)
		d.fd = -1
		d.failed(os.ErrDeadlineExceeded)
		d.next()
		return
	}
	d.fail(os.ErrDeadlineExceeded)
}

// failed records the error of the address that was tried.
func (d *dial) failed(err error) {
	if d.trying.name != d.addr {
		err = fmt.Errorf("%s: %w", d.trying.name, err)
	}
	d.errs = append(d.errs, err)
}

func (d *dial) exhausted() {
	switch len(d.errs) {
	case 0:
		d.fail(fmt.Errorf("no address of a family that %s allows", d.network))
	case 1:
		d.fail(d.errs[0])
	default:
		d.fail(errors.Join(d.errs...))
	}
}

// fail ends the dial with an error.
func (d *dial) fail(err error) {
	if d.done == nil {
		return
	}
	l := d.loop
	if d.fd >= 0 {
		l.release(d.fd)
		d.fd = -1
	}
	done := d.done
	d.forget()
	l.count.DialFail++
	l.guarded("dial", func() { done(nil, fmt.Errorf("dial %s %s: %w", d.network, d.addr, err)) })
}

func (d *dial) forget() {
	d.done = nil
	d.timer.Stop()
	if d.cancel != nil {
		d.cancel()
	}
	delete(d.loop.dials, d)
}
