package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// NewVersion is NewWith of the given version, whichever the run's is. It skips the
// test if that version is not installed. It does not fetch it, because that takes
// minutes: use the script.
func NewVersion(t testing.TB, version, conf string, plugins ...string) *Node {
	t.Helper()
	if why, ok := has(version); !ok {
		t.Skip(why)
	}
	return own(t, version, conf, plugins...)
}

// has reports whether a version can be started at once, and if not, why.
func has(version string) (why string, ok bool) {
	cmd := exec.Command("bash", "-s", "--", "has", version)
	cmd.Stdin = bytes.NewReader(script)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err == nil
}

// AtLeast reports whether the node has this version, as 4.0, or a later one.
func (n *Node) AtLeast(t testing.TB, version string) bool {
	t.Helper()
	return slices.Compare(numbers(n.Version(t)), numbers(version)) >= 0
}

func numbers(version string) (ns []int) {
	for s := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(s)
		ns = append(ns, n)
	}
	return ns
}

// Version returns the node's version, as 4.0.5, which it reads from the node's
// connection.start.
func (n *Node) Version(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write([]byte("AMQP\x00\x00\x09\x01"))
	var head [7]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		t.Fatal(err)
	}
	start := make([]byte, min(binary.BigEndian.Uint32(head[3:]), 1<<16))
	if _, err := io.ReadFull(conn, start); err != nil {
		t.Fatal(err)
	}
	// A field of the server properties: a short string as name, S, a long string.
	_, value, found := bytes.Cut(start, []byte("\x07versionS"))
	if !found || len(value) < 4 || uint64(len(value)) < 4+uint64(binary.BigEndian.Uint32(value)) {
		t.Fatalf("%s tells no version", u.Host)
	}
	return string(value[4 : 4+binary.BigEndian.Uint32(value)])
}
