package rabbitmq_test

import (
	"strings"
	"testing"

	"zamqp/tests/kit/rabbitmq"
)

func TestThreeNodesKnowEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three brokers")
	}
	c := rabbitmq.NewCluster(t, make([]rabbitmq.Place, 3))
	if got := strings.Count(c.Nodes[2].Ctl(t, "cluster_status"), "@localhost"); got < 3 {
		t.Errorf("the third node names %d nodes", got)
	}
	declare(t, c.URLs()[0], "shared", 3)
	declare(t, c.URLs()[2], "shared", 3)
	c.Nodes[1].Kill(t)
	declare(t, c.URLs()[2], "shared", 3)
	c.Nodes[1].Restart(t)
	declare(t, c.URLs()[1], "shared", 3)
}
