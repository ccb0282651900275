package loop

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listeners do not use a share of the descriptors. Files, such as a journal's next segment,
// and connections that the server opens itself must not fail because clients use all
// descriptors.
const (
	descriptorShare = 8 // the share is one part of so many
	descriptorsMin  = 16
	descriptorsMax  = 512
)

// DescriptorLimit is how many descriptors the process may have. Go's package os raises the soft
// limit to the hard one at start, and gives programs that it starts the old one.
func DescriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}

// descriptorsLeft returns how many of limit the listeners leave to others.
func descriptorsLeft(limit int) int {
	return min(max(limit/descriptorShare, descriptorsMin), descriptorsMax, limit/2)
}

// tooMany reports whether an accepted connection uses a descriptor of the share. The system gives
// out the lowest free descriptor, so its number shows how many are in use at least, and it falls
// again when others are closed.
func (l *Loop) tooMany(fd int) bool { return fd >= l.acceptMax }

// TakesFromShare is tooMany for a connection that a listener of package net has accepted. Any
// thread may ask.
func (l *Loop) TakesFromShare(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	takes := false
	return err == nil && raw.Control(func(fd uintptr) { takes = l.tooMany(int(fd)) }) == nil && takes
}
