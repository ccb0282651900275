package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/chaos/plan"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
)

// site is where the broker of a run is, and the faults that can be made there.
type site struct {
	name    string
	urls    []string
	options []string // of our server
	faults  []fault
}

// options that all sites have in common: those of a connection are the defaults.
func connect(urls []string) []string {
	list := ""
	for i, url := range urls {
		if i > 0 {
			list += ", "
		}
		list += fmt.Sprintf("%q", url)
	}
	if len(urls) == 1 {
		return []string{"connection.default.url=" + urls[0]}
	}
	return []string{"connection.default.url=[" + list + "]"}
}

// single is one RabbitMQ with classic queues.
func single(t *testing.T) *site { s, _ := one(t); return s }

func one(t *testing.T) (*site, *rabbitmq.Node) {
	node := rabbitmq.New(t)
	return &site{name: "one RabbitMQ, classic queues", urls: []string{node.URL}, options: connect([]string{node.URL}),
		faults: append(append(faultsOfNode("broker: ", false, func(*rig) *rabbitmq.Node { return node }), faultsOfOurs(true)...),
			rolling(), both(node))}, node
}

// spooled is single with a spool, on a disk that can be filled.
func spooled(t *testing.T) *site {
	s, node := one(t)
	s.name = "one RabbitMQ, with the spool"
	dir := filepath.Join(t.TempDir(), "spool")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.faults = append(s.faults, frozenForLong(node))
	s.options = append(s.options, "connection.default.confirm_timeout=3s", "connection.default.spool=file", "connection.default.spool_dir="+filepath.Join(dir, "data"))
	if smallDisk(t, dir) {
		s.faults = append(s.faults, spoolFull(node, dir))
	}
	return s
}

// cluster is three RabbitMQ nodes with quorum queues.
func cluster(t *testing.T) *site {
	places, cut := namespaces(t, 3)
	c := rabbitmq.NewCluster(t, places)
	s := &site{name: "three RabbitMQ nodes, quorum queues", urls: c.URLs(), options: connect(c.URLs())}
	for queue := range plan.Queues {
		s.options = append(s.options, "consumer."+queue+".queue_type=quorum")
	}
	// In turn the leader of a queue, and any node.
	pick := func(r *rig) *rabbitmq.Node {
		if at := c.Leader(r.t, rand.N(3), plan.Lane); at >= 0 && rand.N(2) == 0 {
			return c.Nodes[at]
		}
		return c.Nodes[rand.N(3)]
	}
	s.faults = append(append(faultsOfNode("node: ", true, pick), faultsOfOurs(true)...), rolling())
	if cut != nil {
		s.faults = append(s.faults, partition(cut))
	}
	return s
}

// inside is the broker in our own process.
func inside(t *testing.T) *site {
	addr := process.FreeAddress(t) // of the broker
	faults := faultsOfOurs(false)
	for i := range faults {
		if faults[i].kind == "ours: kill -9" {
			faults[i].deaths = 2 // the acks that the broker has taken and not written are lost with it
		}
	}
	return &site{name: "the embedded broker in our process", urls: []string{"amqp://guest:guest@" + addr + "/"},
		options: []string{"connection.default.url=embedded", "broker.listen=" + addr, "broker.data_dir=" + filepath.Join(t.TempDir(), "broker")},
		faults:  faults}
}

// beside is the embedded broker as a process of its own.
func beside(t *testing.T) *site {
	node := embedded.New(t, embedded.Options{DataDir: filepath.Join(t.TempDir(), "broker")})
	signal := func(s syscall.Signal) { _ = syscall.Kill(node.Pid(), s) }
	restart := func(r *rig) {
		if err := node.Restart(); err != nil {
			r.t.Error(err)
		}
	}
	return &site{name: "zamqp broker", urls: []string{node.URL}, options: connect([]string{node.URL}),
		faults: append([]fault{
			{kind: "broker: kill -9", deaths: brokers, backlog: backlog, hold: time.Second, breaks: func(*rig) { node.Kill() }, heals: restart},
			{kind: "broker: stop", deaths: brokers, hold: time.Second, breaks: func(*rig) { node.Stop() }, heals: restart},
			{kind: "broker: frozen", hold: 3 * time.Second, breaks: func(*rig) { signal(syscall.SIGSTOP) }, heals: func(*rig) { signal(syscall.SIGCONT) }},
		}, append(faultsOfOurs(true), rolling())...)}
}

// fault finds one by its kind.
func (s *site) fault(t *testing.T, kind string) *fault {
	t.Helper()
	for i := range s.faults {
		if s.faults[i].kind == kind {
			return &s.faults[i]
		}
	}
	t.Fatalf("%s has no fault %q", s.name, kind)
	return nil
}
