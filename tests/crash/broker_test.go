package crash_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

// node is a broker that can be killed.
type node struct {
	url     string
	kill    func()
	restart func()
}

var nodes = map[string]func(t *testing.T) node{
	"rabbitmq": func(t *testing.T) node {
		n := rabbitmq.New(t)
		return node{n.URL, func() { n.Kill(t) }, func() { n.Restart(t) }}
	},
	"embedded": func(t *testing.T) node {
		n := embedded.New(t, embedded.Options{DataDir: t.TempDir()})
		return node{n.URL, n.Kill, func() {
			if err := n.Restart(); err != nil {
				t.Fatal(err)
			}
		}}
	},
}

// TestBrokerIsKilled: the broker is killed again and again, and the server is not. No message
// of the backlog has caused that, but RabbitMQ marks all of them as redelivered.
func TestBrokerIsKilled(t *testing.T) {
	for name, start := range nodes {
		t.Run(name, func(t *testing.T) {
			n := start(t)
			var all []*site
			for _, consumer := range []string{"usual", "lane"} {
				for _, data := range []string{"data", ""} {
					if consumer != "usual" && data == "" {
						continue
					}
					s := newSite(t, n.url, consumer, data)
					s.connect()
					s.prepare()
					all = append(all, s)
				}
			}
			backlog := bodies(2000, "m%d 20ms")
			for _, s := range all {
				s.publish(backlog...)
				s.start()
			}
			for kill := range 2 {
				for _, s := range all {
					s.eventually("some are handled", func() bool { return len(s.ledger("end")) > 100*(kill+1) })
				}
				n.kill()
				n.restart()
			}
			for _, s := range all {
				s.eventually("all are handled", func() bool { return s.handled(backlog) })
				s.connect()
				if n := len(s.drain(s.queue + ".dead")); n != 0 {
					t.Errorf("%s: %d dead letters", s.queue, n)
				}
				if n := s.isolated(); n != 0 {
					t.Errorf("%s: %d messages were quarantined", s.queue, n)
				}
				// RabbitMQ has not synced the acks of the last moment, so those messages come
				// again.
				t.Logf("%s: %d messages were handled twice", s.queue, twice(s.ledger("end")))
				if s.consumer == "lane" {
					s.wantOrder()
				}
			}
		})
	}
}

// isolated counts in the logs the messages that were moved to the quarantine.
func (s *site) isolated() (n int) {
	s.t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.dir, "log-*"))
	if err != nil || len(logs) == 0 {
		s.t.Fatal("no logs", err)
	}
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		n += strings.Count(string(b), "it moves to the quarantine")
	}
	return n
}

// wantOrder checks the first time that each message of a key was begun.
func (s *site) wantOrder() {
	s.t.Helper()
	b, _ := os.ReadFile(filepath.Join(s.dir, "ledger"))
	seen, last := map[int]bool{}, map[int]int{}
	for line := range strings.Lines(string(b)) {
		var n int
		if _, err := fmt.Sscanf(line, "begin m%d", &n); err != nil || seen[n] {
			continue
		}
		seen[n] = true
		if before, ok := last[n%10]; ok && n < before {
			s.t.Errorf("%d was begun after %d", n, before)
		}
		last[n%10] = n
	}
}

// A proxy is a broker's address whose connections can be cut.
type proxy struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

// newProxy returns one before the broker at url, and the url of it.
func newProxy(t *testing.T, url string) (*proxy, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(url, "@")
	address, path, _ := strings.Cut(rest, "/")
	p := &proxy{Listener: ln}
	t.Cleanup(func() { ln.Close(); p.cut() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", address)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() { _, _ = io.Copy(pair[0], pair[1]); pair[0].Close(); pair[1].Close() }()
			}
		}
	}()
	return p, "amqp://guest:guest@" + ln.Addr().String() + "/" + path
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// TestConnectionIsLost: messages in hand come again, to the same process.
func TestConnectionIsLost(t *testing.T) {
	for broker, url := range brokers {
		at := url(t)
		for _, consumer := range []string{"usual", "quorum", "lane"} {
			for _, data := range []string{"data", ""} {
				t.Run(broker+" "+consumer+" "+data, func(t *testing.T) {
					p, near := newProxy(t, at)
					s := newSite(t, near, consumer, data)
					s.url = at
					s.connect()
					s.prepare()
					backlog := bodies(60, "m%d 30ms")
					s.publish(backlog...)
					s.start()
					for range 3 {
						had := len(s.ledger("begin"))
						s.eventually("some are begun", func() bool { return len(s.ledger("begin")) > had || s.handled(backlog) })
						p.cut()
					}
					s.eventually("all are handled", func() bool { return s.handled(backlog) })
					if n := s.isolated(); n != 0 || s.count(s.queue+".dead") > 0 {
						t.Errorf("%d messages were quarantined, %d are dead", n, s.count(s.queue+".dead"))
					}
				})
			}
		}
	}
}

// TestInnocentDeaths: the server is killed three times with many slow messages in hand. They
// are tried one at a time, and none is given up.
func TestInnocentDeaths(t *testing.T) {
	for broker, url := range brokers {
		for _, consumer := range []string{"usual", "lane"} {
			t.Run(broker+" "+consumer, func(t *testing.T) {
				s := newSite(t, url(t), consumer, "data")
				s.options = append(s.options, "consumer."+consumer+".prefetch=100")
				s.connect()
				s.prepare()
				all := bodies(100, "harmless %d 50ms")
				s.publish(all...)
				for kill := range 3 {
					p := s.start()
					had := len(s.ledger("begin"))
					s.eventually("some are begun", func() bool { return len(s.ledger("begin")) > had+kill || s.handled(all) })
					p.Kill()
				}
				p := s.start()
				s.eventually("all are handled", func() bool { return s.handled(all) })
				p.stop()
				if n := s.count(s.queue + ".dead"); n != 0 {
					t.Errorf("%d are dead", n)
				}
				s.empty(0)
			})
		}
	}
}

// TestOldQuarantine: the messages that an older version quarantined go back to their
// queue.
func TestOldQuarantine(t *testing.T) {
	for broker, url := range brokers {
		t.Run(broker, func(t *testing.T) {
			s := newSite(t, url(t), "usual", "data")
			s.connect()
			old := s.queue + ".suspects"
			if _, err := s.ch.QueueDeclare(old, true, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
			all := bodies(200, "m%d")
			queue := s.queue
			s.queue = old
			s.publish(all[:199]...)
			s.queue = queue
			if _, err := s.ch.PublishWithDeferredConfirm("", old, true, false, amqp.Publishing{Body: []byte(all[199]),
				Headers: amqp.Table{publisher.TraceCrashes: int64(2)}}); err != nil {
				t.Fatal(err)
			}
			p := s.start()
			s.eventually("all are handled", func() bool { return s.handled(all) })
			s.eventually("the queue is gone", func() bool { return s.count(old) < 0 })
			p.stop()
			if n := twice(s.ledger("begin")); n > 0 {
				t.Errorf("%d were handled twice", n)
			}
		})
	}
}
