package app

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// listening is a setting and the addresses in it that this process listens at.
type listening struct {
	key       string
	addresses []string
}

// at is the address in it that conflicts with another one; "" = none.
func (l *listening) at(address string) string {
	for _, other := range l.addresses {
		if sameAddress(address, other) {
			return other
		}
	}
	return ""
}

func (l *listening) has(address string) bool { return l.at(address) != "" }

// addressTaken explains why an address is in use, and what to do. own are the listeners
// that this process has opened before.
func addressTaken(key, address, by string, own ...listening) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return fmt.Errorf("%s = %q: %s", key, address, pathTaken(path, by))
	}
	for _, l := range own {
		if other := l.at(address); other != "" {
			return fmt.Errorf("%s = %q: this process has that port already, by %s = %q: give them different ports", key, address, l.key, other)
		}
	}
	return fmt.Errorf("%s = %q: in use%s: %s", key, address, by, elsewhere(key, address))
}

// pathTaken says what is at the path of a unix socket.
func pathTaken(path, by string) string {
	info, err := os.Lstat(path)
	switch {
	case err != nil || info.Mode()&os.ModeSocket != 0:
		return "in use" + by + ": listen elsewhere"
	case info.IsDir():
		return "there is a directory of that name: name a path in it, or another one"
	case info.Mode().IsRegular():
		return "there is a file of that name, which is no socket: remove it if nobody needs it, or name another path"
	}
	return fmt.Sprintf("what is there is no socket (%s): remove it if nobody needs it, or name another path", info.Mode().Type())
}

// sameAddress reports whether two TCP addresses cannot be listened at together.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return isAny(hostA) || isAny(hostB) || loopback(hostA) == loopback(hostB)
}

func isAny(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// loopback replaces localhost by an address.
func loopback(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return host
}
