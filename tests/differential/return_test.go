package differential_test

import (
	"fmt"
	"testing"
)

// TestReturns: messages come back to a quorum queue, and the next consumer shows at which
// position. Those of a channel that has ended come first; those returned by basic.nack come
// last, unless the queue has a delivery limit.
func TestReturns(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ")
	}
	node := reference(t)
	if node.AtLeast(t, "4.0") {
		t.Skip("since 4.0 all of it comes first; the embedded broker does as 3.10 does")
	}
	p := pairs(t, node)[0]
	for name, end := range map[string][]*operation{
		"channel.close": {{do: "channel.close", channel: 2}},
		"abort":         {{do: "abort", channel: 2}},
		"nack":          {{do: "basic.cancel", channel: 2, tag: "c1"}, {do: "nack", channel: 2, flags: "multiple requeue", n: 2}},
	} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, single active %v", name, single), func(t *testing.T) {
				t.Parallel()
				args := table{"x-queue-type": "quorum"}
				if single {
					args["x-single-active-consumer"] = true
				}
				program := []*operation{
					{do: "queue.declare", conn: 1, channel: 1, queue: "@q1", flags: "durable", args: args},
					{do: "publish", conn: 1, channel: 1, key: "@q1", size: 12, count: 6},
					{do: "basic.qos", channel: 2, n: 3},
					{do: "basic.consume", channel: 2, queue: "@q1", tag: "c1"},
				}
				program = append(program, end...)
				program = append(program, &operation{do: "basic.consume", conn: 1, channel: 1, queue: "@q1", tag: "c2", flags: "no-ack"})
				if left, right, yes := p.differs(program, racesMax); yes {
					t.Errorf("\n%s", beside(p.reference.name, p.subject.name, left, right))
				}
			})
		}
	}
}
