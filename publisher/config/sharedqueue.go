package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"zamqp/publisher"
)

// sharedQueues checks the queues that several consuming servers consume. A broker permits that,
// but then chance decides for which site a message is handled.
func (c *planner) sharedQueues(p *Plan) {
	byQueue := map[[2]string][]string{} // the names of the instances, sorted
	for _, name := range slices.Sorted(maps.Keys(p.Consumers)) {
		k := p.Consumers[name]
		if connection := c.settings.Connections[k.Connection]; connection != nil && !k.ServerNamed {
			id := [2]string{connection.identity(), k.Queue}
			byQueue[id] = append(byQueue[id], name)
		}
	}
	for _, names := range byQueue {
		if len(names) > 1 {
			c.sharedQueue(p, names)
		}
	}
	slices.Sort(p.Warnings)
}

// identity is the same for two connections to the same broker and virtual host.
func (n *Connection) identity() string {
	nodes := make([]string, 0, len(n.Nodes))
	for _, node := range n.Nodes {
		nodes = append(nodes, node.Address())
	}
	slices.Sort(nodes)
	return strings.Join(nodes, ",") + "/" + n.URI.Vhost
}

// sharedQueue checks one queue that several instances consume. It reports as an error what the
// broker would refuse, and what must be a mistake.
func (c *planner) sharedQueue(p *Plan, names []string) {
	first := p.Consumers[names[0]]
	consuming := 0
	chance := false
	for _, name := range names {
		k := p.Consumers[name]
		consumer, server := publisher.SplitInstance(name)
		if _, other := publisher.SplitInstance(names[0]); other != server {
			c.refusedQueue(names[0], name, first, k)
		}
		if c.registry.Consumes(consumer, k) {
			consuming++
		}
		_, of := publisher.SplitInstance(names[0])
		chance = chance || !reflect.DeepEqual(p.ConsumingServers[server], p.ConsumingServers[of])
	}
	if consumer, _ := publisher.SplitInstance(names[0]); chance && consuming > 1 && first.Type() != publisher.QueueStream {
		p.Warnings = append(p.Warnings, fmt.Sprintf("queue %q is consumed by %s: chance decides which of them gets a message, "+
			"and for which site and user it is handled; write ${site_id} into consumer.%s.queue, or let one consuming server have the consumer",
			first.Queue, strings.Join(names, ", "), consumer))
	}
}

// refusedQueue reports settings with which two instances cannot share a queue.
func (c *planner) refusedQueue(firstName, name string, first, k publisher.Consumer) {
	consumer, _ := publisher.SplitInstance(name)
	key := "consumer." + consumer
	both := firstName + " and " + name
	declares := !first.NoDeclare && !first.NoDeclareQueue && !k.NoDeclare && !k.NoDeclareQueue
	switch {
	case first.Exclusive || first.Transient || k.Exclusive || k.Transient:
		c.declaration(key+".queue", show(k.Queue), fmt.Sprintf("the exclusive queue would be that of %s, and each message would reach one of them only: "+
			"write ${site_id} into its name, or set %s.server_named = true", both, key))
	case first.ExclusiveConsumer || k.ExclusiveConsumer:
		c.declaration(key+".exclusive_consumer", "true", fmt.Sprintf("%s consume the queue %q, but the broker accepts only one of them: "+
			"write ${site_id} into %s.queue, or let one consuming server have the consumer", both, k.Queue, key))
	case declares && (!reflect.DeepEqual(first.Arguments, k.Arguments) || first.DeadLetterQueue() != k.DeadLetterQueue()):
		c.declaration(key+".queue", show(k.Queue), fmt.Sprintf("%s declare it with different arguments or dead-letter queues, and the broker would refuse one of them: "+
			"write ${site_id} into its name, too", both))
	}
}
