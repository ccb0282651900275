package interop_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
)

// gate is a way to a broker that can be closed: a node of a cluster that dies.
type gate struct {
	ln    net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ln: ln}
	t.Cleanup(g.shut)
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			if to == "" {
				_ = in.Close()
				continue
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		}
	}()
	return g
}

func (g *gate) addr() string { return g.ln.Addr().String() }

// cut ends the connections, shut also the listening.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

func (g *gate) shut() {
	_ = g.ln.Close()
	g.cut()
}

// waitLog waits until the log holds all of the words in one line, more often
// than it did.
func (s *server) waitLog(seen int, words ...string) (count int) {
	s.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		count = 0
		for line := range strings.Lines(s.log.String()) {
			all := true
			for _, word := range words {
				all = all && strings.Contains(line, word)
			}
			if all {
				count++
			}
		}
		if count > seen {
			return count
		}
	}
	s.t.Fatalf("no line with %q in the log", words)
	return 0
}

func hostOf(t *testing.T, amqpURL string) string {
	u, err := url.Parse(amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestFailover: of a list of nodes one refuses, one takes connections and drops
// them, one dies later; the server finds those that work, and prefers the first.
func TestFailover(t *testing.T) {
	broker := hostOf(t, rabbitmq.Start(t))
	first, dropper := newGate(t, broker), newGate(t, "")
	list := ""
	for _, addr := range []string{process.FreeAddress(t), dropper.addr(), first.addr(), broker} {
		list += fmt.Sprintf(",amqp://guest:guest@%s/", addr)
	}
	s := start(t, list[1:], "connection.default.order=listed", "connection.default.backoff_min=50ms",
		"connection.default.connection_name=failover", "log.format=json")
	s.waitLog(0, `"message":"connected"`, first.addr())
	first.cut()
	s.waitLog(1, `"message":"connected"`, first.addr())
	first.shut()
	s.waitLog(0, `"message":"connected"`, `"node":"`+broker)
	s.waitReady()
	s.stop()
}

// TestPasswordFile: the server reads the file again while it runs and tells the
// broker, and the next connect uses the new password.
func TestPasswordFile(t *testing.T) {
	broker := hostOf(t, rabbitmq.Start(t))
	g := newGate(t, broker)
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("guest\n")
	s := start(t, "amqp://guest@"+g.addr()+"/", "connection.default.password_file="+file,
		"connection.default.backoff_min=50ms", "connection.default.backoff_max=200ms", "log.format=json")
	write("wrong\n")
	s.waitLog(0, `"message":"secret updated"`)
	g.cut()
	s.waitLog(0, "login refused")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.waitLog(0, "the password stays as it was")
	write("guest")
	s.waitReady()
	if log := s.log.String(); strings.Contains(log, `"wrong`) {
		t.Error("a password is in the log")
	}
	s.stop()
}

// TestKeepalive: pings come back, and /readyz tells of them.
func TestKeepalive(t *testing.T) {
	s := start(t, rabbitmq.Start(t), "connection.default.keepalive=1s", "log.format=json")
	var report struct {
		Parts []struct{ Kind, Name, State string }
	}
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if err := s.json("/readyz", &report); err != nil {
			t.Fatal(err)
		}
		for _, part := range report.Parts {
			if part.Kind == "keepalive" && part.Name == "default.ping" && strings.HasPrefix(part.State, "answered") {
				s.stop()
				return
			}
		}
		if time.Now().After(until) {
			t.Fatalf("%+v", report)
		}
	}
}

// TestTransactions runs the shop with AMQP's transactions in place of confirms.
func TestTransactions(t *testing.T) {
	s := start(t, rabbitmq.Start(t), "connection.default.tx_select=true", "connection.default.replies=queue")
	shop := newShop(s.url, 4)
	ids, err := shop.orderMany(50, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if n, err := shop.seen(id); err == nil && n == 1 {
				break
			} else if time.Now().After(until) {
				t.Fatalf("order %s was seen %d times: %v", id, n, err)
			}
		}
	}
	s.stop()
}
