package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// network is a bad network in front of a broker.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	url   string // of the broker behind it
}

func newNetwork(t *testing.T, broker string) *network {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal(err)
	}
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	n := &network{t: t, proxy: toxiproxy.NewProxy(control, "amqp", "127.0.0.1:0", u.Host)}
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.within(n.proxy.Stop) })
	u.Host = n.proxy.Listen
	n.url = u.String()
	return n
}

// add lets a toxic work on one direction: "upstream" is towards the broker.
func (n *network) add(kind, stream string, attributes map[string]any) {
	n.t.Helper()
	text, _ := json.Marshal(map[string]any{"type": kind, "stream": stream, "name": kind + "-" + stream, "attributes": attributes})
	var err error
	if !n.within(func() { _, err = n.proxy.Toxics.AddToxicJson(bytes.NewReader(text)) }) {
		n.t.SkipNow()
	}
	if err != nil {
		n.t.Fatalf("%s: %v", text, err)
	}
}

func (n *network) heal() {
	n.t.Helper()
	if !n.within(func() { n.proxy.Toxics.ResetToxics(context.Background()) }) {
		n.t.SkipNow()
	}
}

// within limits a call of toxiproxy, which blocks for ever when a link ends at the moment in
// which its toxics change.
func (n *network) within(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(30 * time.Second):
		n.t.Log("toxiproxy hangs: this says nothing about the server")
		return false
	}
}

var directions = []string{"upstream", "downstream"}

// TestOneOctetAtATime has every frame of both directions arrive in pieces.
func TestOneOctetAtATime(t *testing.T) {
	n := newNetwork(t, rabbitmq.Start(t))
	for _, d := range directions {
		n.add("slicer", d, map[string]any{"average_size": 1, "size_variation": 0, "delay": 0})
	}
	s := start(t, n.url)
	l := newLoad(s, 4, 10)
	l.more(200)
	l.end(t)
	if len(l.refused) > 0 {
		t.Errorf("refused: %v", l.why)
	}
}

// TestCutInMidFrame ends the connection after so many octets that the cut walks
// through frames of all kinds: the handshake, declarations, publishes, deliveries.
func TestCutInMidFrame(t *testing.T) {
	n := newNetwork(t, rabbitmq.Start(t))
	s := start(t, n.url)
	l := newLoad(s, 4, 300)
	for i := range 30 {
		d := directions[i%2]
		n.add("limit_data", d, map[string]any{"bytes": 3000 + i*i*37})
		if i%3 == 0 { // a reset in place of an orderly end
			n.add("reset_peer", d, map[string]any{"timeout": 30})
		}
		wait.Until(t, "the connection is cut", func() bool {
			return strings.Count(s.log.String(), `"lost`)+strings.Count(s.log.String(), "connection lost") > i
		})
		n.heal()
		l.more(20)
	}
	l.end(t)
	s.waitReady(true)
}

// TestBlackhole lets the network drop everything while TCP stays up: only heartbeats can
// notice that.
func TestBlackhole(t *testing.T) {
	for _, d := range directions {
		t.Run(d, func(t *testing.T) {
			n := newNetwork(t, rabbitmq.Start(t))
			s := start(t, n.url, "connection.default.heartbeat=1s", "connection.default.confirm_timeout=20s")
			l := newLoad(s, 2, 10)
			l.more(20)
			n.add("timeout", d, map[string]any{"timeout": 0})
			began := time.Now()
			s.waitReady(false)
			t.Logf("noticed after %.1f heartbeats", time.Since(began).Seconds())
			if d == "downstream" { // the log is written beside all else
				wait.Until(t, "the log names the heartbeat", func() bool { return strings.Contains(s.log.String(), "heartbeat") })
			}
			n.heal()
			// Toxiproxy keeps the swallowed connections; new ones are whole.
			s.waitReady(true)
			l.more(20)
			l.end(t)
		})
	}
}

// TestLatency has each octet come late and at odd times.
func TestLatency(t *testing.T) {
	n := newNetwork(t, rabbitmq.Start(t))
	s := start(t, n.url)
	for _, d := range directions {
		n.add("latency", d, map[string]any{"latency": 30, "jitter": 20})
	}
	l := newLoad(s, 16, 100)
	l.more(300)
	l.end(t)
	if len(l.refused) > 0 {
		t.Errorf("refused: %v", l.why)
	}
}

// TestBandwidth offers more than the line can carry: publishes wait in limited memory, those
// over the limit or too late are refused with 503, and the rest is handled.
func TestBandwidth(t *testing.T) {
	n := newNetwork(t, rabbitmq.Start(t))
	s := start(t, n.url, "connection.default.publish_max=64KiB", "connection.default.confirm_timeout=2s", "connection.default.heartbeat=5s")
	n.add("bandwidth", "upstream", map[string]any{"rate": 50}) // KB/s
	l := newLoad(s, 16, 8000)
	wait.Until(t, "some are refused, and some are taken", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.refused[503] > 20 && len(l.taken) > 20
	})
	n.heal()
	l.more(100)
	l.end(t)
	saysWhy(t, s.log.String())
}

// saysWhy looks for the reason in each line of the log about a failed call, because the
// client only learns that there is no service. On a busy machine the connection may end as
// well, or the broker may block publishers.
func saysWhy(t *testing.T, log string) {
	t.Helper()
	whys := []string{"publish_max", "no confirm in time", `connection "default"`, "connection.blocked"}
	counts := map[string]int{}
	for line := range strings.Lines(log) {
		var entry struct{ Message, Error string }
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Message != "the call failed" {
			continue
		}
		if counts[entry.Error]++; !slices.ContainsFunc(whys, func(why string) bool { return strings.Contains(entry.Error, why) }) {
			t.Errorf("the refusal does not say why: %s", line)
		}
	}
	t.Logf("the log's reasons: %v", counts)
}

// TestBrokerCycles stops and kills RabbitMQ under load, in turn.
func TestBrokerCycles(t *testing.T) {
	cycles := 10
	if testing.Short() {
		cycles = 2
	}
	node := rabbitmq.New(t)
	s := start(t, node.URL, "connection.default.confirm_timeout=5s")
	l := newLoad(s, 8, 100)
	for i := range cycles {
		l.more(200)
		if i%2 == 0 {
			node.Kill(t)
		} else {
			node.Stop(t)
		}
		s.waitReady(false)
		node.Restart(t)
		s.waitReady(true)
	}
	l.more(200)
	l.end(t)
	node.WaitQueue(t, s.queue, func(q rabbitmq.Queue) bool { return q.Messages == 0 && q.Consumers == 1 })
	t.Log(fmt.Sprint(cycles), "cycles")
}
