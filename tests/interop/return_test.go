package interop_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// restartsEnv is how often TestReadyWhenTheBrokerIs restarts each broker: 20 with
// outages of 5 to 40 s is the goal's own measure. Without it, it is the short form.
const restartsEnv = "ZAMQP_TEST_RESTARTS"

// readyWithin is the goal: from the first login that somebody else's client has,
// to our /readyz.
const readyWithin = 3 * time.Second

// TestReadyWhenTheBrokerIs: a broker is killed or stopped, and is back after a
// while. Servers with the default settings are ready soon after it takes logins,
// directly and through proxies, whose port is always open.
func TestReadyWhenTheBrokerIs(t *testing.T) {
	t.Run("rabbitmq", func(t *testing.T) {
		readyWhenTheBrokerIs(t, stoppableRabbit{rabbitNode{rabbitmq.New(t)}}, "consumer.billing.queue_type=quorum", "consumer.billing.queue=zamqp-demo.billing-quorum",
			"consumer.hello.queue_type=quorum", "consumer.hello.queue=zamqp-demo.hello-quorum")
	})
	t.Run("alone", func(t *testing.T) {
		path, err := program()
		if err != nil {
			t.Fatal(err)
		}
		readyWhenTheBrokerIs(t, stoppableAlone{aloneNode{embedded.New(t, embedded.Options{Binary: path, DataDir: t.TempDir()})}})
	})
}

// stoppable can also end cleanly.
type stoppable interface {
	killable
	stop(t *testing.T)
}

type stoppableRabbit struct{ rabbitNode }

func (n stoppableRabbit) stop(t *testing.T) { t.Helper(); n.Stop(t) }

type stoppableAlone struct{ aloneNode }

func (n stoppableAlone) stop(*testing.T) { n.Stop() }

// readyWhenTheBrokerIs has one server more with the options, and one that is
// started while there is no broker.
func readyWhenTheBrokerIs(t *testing.T, n stoppable, options ...string) {
	outages := []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second}
	limit := 2 * readyWithin // the machine of the short form has other things to do
	if text := os.Getenv(restartsEnv); text != "" {
		many, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(restartsEnv, err)
		}
		limit, outages = readyWithin, nil
		for range many {
			outages = append(outages, 5*time.Second+rand.N(35*time.Second))
		}
	}
	servers := map[string]*server{}
	for name, addr := range routes(t, strings.TrimSuffix(strings.TrimPrefix(n.url(), "amqp://guest:guest@"), "/")) {
		servers[name] = start(t, "amqp://guest:guest@"+addr+"/")
	}
	if len(options) > 0 {
		servers["options"] = start(t, n.url(), options...)
		time.Sleep(5 * time.Second) // RabbitMQ may lose a quorum queue that it made a moment before a kill: nobody can consume it any more
	}
	for i, outage := range outages {
		how := "killed"
		if i%2 == 0 {
			n.kill(t)
		} else {
			how = "stopped"
			n.stop(t)
		}
		for _, s := range servers {
			s.waitStatus("/readyz", http.StatusServiceUnavailable)
		}
		if servers["late"] == nil {
			path, err := program()
			if err != nil {
				t.Fatal(err)
			}
			servers["late"] = launch(t, path, process.FreeAddress(t), n.url())
			servers["late"].waitStatus("/readyz", http.StatusServiceUnavailable)
		}
		time.Sleep(outage) // the outage's length is what is tested
		lags := lagsBehind(t, n, servers)
		t.Logf("%s, away for %v and its start: ready behind the first login after %v", how, outage.Round(time.Second), lags)
		for name, lag := range lags {
			if lag > limit {
				t.Errorf("%s after %d, %v: ready %v after the first login of another client, want %v\n%s", name, i, outage, lag, limit, servers[name].log.Ends(8<<10))
			}
		}
	}
}

// lagsBehind starts the broker, and returns how long after the first login of an
// independent client each server was ready.
func lagsBehind(t *testing.T, n stoppable, servers map[string]*server) map[string]time.Duration {
	var mu sync.Mutex
	ready := map[string]time.Time{}
	var first time.Time
	var watching sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := func(ok func() bool, then func(time.Time)) {
		watching.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				if ok() {
					now := time.Now()
					mu.Lock()
					defer mu.Unlock()
					then(now)
					return
				}
			}
		})
	}
	watch(func() bool { return logsIn(n.url()) }, func(at time.Time) { first = at })
	for name, s := range servers {
		watch(func() bool { return s.status("/readyz") == http.StatusOK }, func(at time.Time) { ready[name] = at })
	}
	n.restart(t)
	watching.Wait()
	lags := map[string]time.Duration{}
	for name, s := range servers {
		if ready[name].IsZero() || first.IsZero() {
			t.Fatalf("%s was not ready within %v\n%s", name, patience, s.log.Ends(8<<10))
		}
		lags[name] = max(0, ready[name].Sub(first)).Round(time.Millisecond)
	}
	return lags
}

// logsIn reports whether a foreign client gets a connection and a channel.
func logsIn(url string) bool {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(2 * time.Second)})
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = conn.Channel()
	return err == nil
}

// routes are the ways to a broker: straight, through a proxy of ours and, where it
// is installed, through HAProxy.
func routes(t *testing.T, addr string) map[string]string {
	t.Helper()
	ways := map[string]string{"direct": addr, "proxy": alwaysOpen(t, addr)}
	if path, err := exec.LookPath("haproxy"); err == nil {
		ways["haproxy"] = haproxy(t, path, addr)
	}
	return ways
}

// alwaysOpen is a proxy that takes a connection and closes it when its backend is
// down.
func alwaysOpen(t *testing.T, backend string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			front, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer front.Close()
				back, err := net.DialTimeout("tcp", backend, time.Second)
				if err != nil {
					return
				}
				defer back.Close()
				go func() {
					_, _ = io.Copy(back, front) // its end is the other's
					_ = back.Close()
				}()
				_, _ = io.Copy(front, back)
			}()
		}
	}()
	return ln.Addr().String()
}

// haproxy starts one as a manual would configure it.
func haproxy(t *testing.T, path, backend string) (addr string) {
	t.Helper()
	addr = process.FreeAddress(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen amqp
  bind %s
  server one %s check inter 1s fall 2 rise 1
`, addr, backend)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	wait.Until(t, "HAProxy listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return addr
}
