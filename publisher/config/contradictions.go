package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"zamqp/publisher"
)

// contradictions reports options of a consumer that cannot go together, before
// the broker refuses them in its own words, or one of them does nothing.
func (c *planner) contradictions(key string, k *publisher.Consumer) {
	kind := k.Type()
	replicated := kind == publisher.QueueQuorum || kind == publisher.QueueStream
	passing := k.Exclusive || k.ServerNamed || k.Transient || k.AutoDelete
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
		{k.Burst > 1 && k.Rate == 0, "burst", strconv.Itoa(k.Burst), "there is no rate that it is a burst of: set rate"},
		{!(k.Rate >= 0), "rate", fmt.Sprint(k.Rate), "a rate is a number, and not negative"},
	} {
		if row.wrong {
			c.declaration(key+"."+row.key, show(row.shown), row.why)
		}
	}
	if k.RetriesInQueues() && len(k.Queue) <= ShortStringMax {
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

// rateMin is the smallest number of messages of a rate: the pause between two has
// to be a time that can be counted.
const rateMin = 1e-3

// rate reads "10/s", "90/m" or "1000/h"; "off" and "" are no bound.
func (c *planner) rate(key, text string) (rate float64, ok bool) {
	if text == "" || text == "off" {
		return 0, true
	}
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	seconds := map[string]float64{"s": 1, "m": time.Minute.Seconds(), "h": time.Hour.Seconds()}[strings.TrimSpace(unit)]
	if err != nil || seconds == 0 || !(n >= rateMin && n <= 1e9) { // NaN is neither
		c.declaration(key, show(text), `want messages for each second, minute or hour: write "10/s", "90/m" or "1000/h"`)
		return 0, false
	}
	return n / seconds, true
}
