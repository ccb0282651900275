package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// contradictions reports options of a consumer that exclude each other. The broker
// would refuse some of them in its own words, and ignore others.
func (c *planner) contradictions(key string, k *publisher.Consumer) {
	kind := k.Type()
	replicated := kind == publisher.QueueQuorum || kind == publisher.QueueStream
	passing := k.Exclusive || k.ServerNamed || k.Transient || k.AutoDelete
	_, wrongKey := k.Dedupe.Of()
	for _, row := range []struct {
		wrong           bool
		key, shown, why string
	}{
		{replicated && passing, "queue_type", kind, "is always durable and shared: leave exclusive, server_named, auto_delete and durable at their defaults"},
		{k.StreamOffset != "" && kind != publisher.QueueStream, "stream_offset", k.StreamOffset, "the queue is no stream: set queue_type, or remove this"},
		{kind == publisher.QueueStream && k.NoAck, "no_ack", "true", "a stream is read by acks: remove this"},
		{kind == publisher.QueueStream && k.SingleActive, "single_active", "true", "a stream has no such consumers: remove this"},
		{k.NoAck && k.AutoAck, "auto_ack", "true", "with no_ack there is nothing to ack: set one of them"},
		{k.Lane != "" && !isLane(k.Lane), "lane", k.Lane, `no such lane: write "routing_key", "queue" or "header:NAME"`},
		{wrongKey != nil, "dedupe.key", k.Dedupe.Key, fmt.Sprint(wrongKey)},
		{k.Dedupe.Key != "" && (k.NoAck || k.AutoAck), "dedupe.key", k.Dedupe.Key, "with no_ack or auto_ack a message is gone before it is handled: remove one of them"},
		{k.Dedupe.Key != "" && k.Dedupe.Database == "" && c.settings.Server.DataDir == "", "dedupe.key", k.Dedupe.Key, "the ids are in files: set server.data_dir, or dedupe.database"},
		{k.Dedupe.Key != "" && k.Dedupe.Database != "" && !slices.Contains(c.registry.Databases(), k.Dedupe.Database), "dedupe.database", k.Dedupe.Database, c.noDatabase()},
		{k.Dedupe.Key != "" && k.Dedupe.Database != "" && k.Dedupe.Max > 0, "dedupe.max", strconv.Itoa(k.Dedupe.Max), "the ids in a database are not counted: remove this; dedupe.keep says when they are deleted"},
		{k.Burst > 1 && k.Rate == 0, "burst", strconv.Itoa(k.Burst), "there is no rate that it is a burst of: set rate"},
		{!(k.Rate >= 0), "rate", fmt.Sprint(k.Rate), "a rate is a number, and not negative"},
	} {
		if row.wrong {
			c.declaration(key+"."+row.key, show(row.shown), row.why)
		}
	}
	if k.RetriesInQueues() && len(k.Queue) <= amqpproto.ShortstrMax {
		delays := k.Retry.Delays()
		if len(delays) > 0 {
			c.length(key+".queue", publisher.RetryQueue(k.Queue, delays[len(delays)-1]))
		}
	}
}

func isLane(text string) bool {
	name, isHeader := strings.CutPrefix(text, "header:")
	return text == "routing_key" || text == "queue" || isHeader && name != ""
}

// noDatabase says which databases there are.
func (c *planner) noDatabase() string {
	known := c.registry.Databases()
	if len(known) == 0 {
		return "no handler package registers a database: call publisher.Database"
	}
	return "no such database: handler packages register " + strings.Join(known, ", ")
}
