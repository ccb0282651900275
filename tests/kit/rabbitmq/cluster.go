package rabbitmq

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Place is where a node of a cluster runs.
type Place struct {
	// Address is the address of its sockets, by which the other nodes reach it.
	// Empty means loopback; then it has to be empty for all nodes.
	Address string
	// Command is put before the node's command, as "nsenter", "--net=…": it starts
	// the node where that address is.
	Command []string
}

// Cluster is some nodes that know each other.
type Cluster struct {
	Nodes []*Node
	names []string
}

// epmdPort is the port in a cluster of namespaces, where each node has all ports
// for itself.
const epmdPort = 4369

// NewCluster starts a node in each place and joins them. They end with t.
func NewCluster(t testing.TB, places []Place) *Cluster {
	t.Helper()
	if !Installed() {
		t.Skip("rabbitmq-server is not installed (tests/setup/install)")
	}
	c := &Cluster{}
	cookie := fmt.Sprintf("zamqp-%d", os.Getpid())
	shared := 0
	if places[0].Address == "" {
		shared = startEpmd(t)
	}
	for i, p := range places {
		text, name := p.file(i, shared)
		n, err := prepare(map[string]string{"place": text, ".erlang.cookie": cookie, "more.conf": "cluster_partition_handling = pause_minority\nloopback_users = none\n"})
		if err != nil {
			t.Fatal(err)
		}
		n.command = p.Command
		t.Cleanup(func() {
			_, _ = n.run("kill", n.dir)
			_ = os.RemoveAll(n.dir)
		})
		if err := n.launch(); err != nil {
			t.Fatal(err)
		}
		c.Nodes, c.names = append(c.Nodes, n), append(c.names, name)
		if i > 0 {
			n.Ctl(t, "stop_app")
			n.Ctl(t, "join_cluster", c.names[0])
			n.Ctl(t, "start_app")
		}
	}
	return c
}

// file is the file that tells the script about a place, and the node's name.
func (p Place) file(i, shared int) (text, name string) {
	if p.Address == "" {
		name = fmt.Sprintf("zamqp-%d-%d@localhost", shared, i+1)
		return fmt.Sprintf("name=%s\nepmd_port=%d\nepmd=shared\n", name, shared), name
	}
	name = "zamqp@" + p.Address
	return fmt.Sprintf("address=%s\nname=%s\nlongname=1\nepmd_port=%d\n", p.Address, name, epmdPort), name
}

// startEpmd runs one epmd for nodes on loopback. Nodes may die, and it stays.
func startEpmd(t testing.TB) (port int) {
	t.Helper()
	port = 20000 + os.Getpid()%10000
	cmd := exec.Command("epmd", "-address", "127.0.0.1", "-port", fmt.Sprint(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return port
}

// URLs returns the nodes' URLs in their order.
func (c *Cluster) URLs() (urls []string) {
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return urls
}

// Leader returns the number of the node that leads a quorum queue. It asks the node
// with the number asked.
func (c *Cluster) Leader(t testing.TB, asked int, queue string) int {
	t.Helper()
	for line := range strings.Lines(c.Nodes[asked].Ctl(t, "list_queues", "--no-table-headers", "name", "leader")) {
		name, leader, _ := strings.Cut(strings.TrimSpace(line), "\t")
		for i := range c.names {
			if name == queue && leader == c.names[i] {
				return i
			}
		}
	}
	return -1
}
