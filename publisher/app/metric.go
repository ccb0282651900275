package app

import (
	"runtime"

	"zamqp/publisher"
	"zamqp/publisher/command"
)

// Measure appends the loop's metrics, and the program's version.
func (r *loopRuntime) Measure(dst []publisher.Metric) []publisher.Metric {
	s := r.Loop.Stats()
	dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "version", Value: command.Version()}, {Name: "goversion", Value: runtime.Version()}},
		publisher.Metric{Name: "build_info", Help: "1, with the program's version and the Go that built it.", Value: 1})
	return publisher.AppendMetrics(dst, nil,
		publisher.Metric{Name: "loop_turns_total", Help: "Turns of the loop.", Value: float64(s.Turns)},
		publisher.Metric{Name: "loop_stalls_total", Help: "How often a handler held the thread for longer than stall_warning.", Value: float64(s.Stalls)},
		publisher.Metric{Name: "loop_panics_total", Help: "Panics caught outside of handlers.", Value: float64(s.Panics)},
		publisher.Metric{Name: "loop_connections", Help: "Sockets of all protocols that are open, those that linger included.", Value: float64(s.Open)},
		publisher.Metric{Name: "loop_accepted_total", Help: "Sockets accepted, of all protocols.", Value: float64(s.Accepted)},
		publisher.Metric{Name: "loop_refused_total", Help: "Sockets closed as soon as they were accepted, because file descriptors had run out.", Value: float64(s.Refused)},
		publisher.Metric{Name: "loop_dialed_total", Help: "Sockets connected to brokers.", Value: float64(s.Dialed)},
		publisher.Metric{Name: "loop_dial_failures_total", Help: "Sockets that could not be connected.", Value: float64(s.DialFail)},
		publisher.Metric{Name: "loop_received_bytes_total", Help: "Octets read from sockets.", Value: float64(s.BytesIn)},
		publisher.Metric{Name: "loop_sent_bytes_total", Help: "Octets written to sockets.", Value: float64(s.BytesOut)},
		publisher.TimesMetric("loop_turn_duration_seconds", "How long turns of the loop took, without the wait for events. The rate of its sum is the share of time in which the thread works.", &s.TurnTimes),
		publisher.TimesMetric("loop_lag_seconds", "How late timers ran, with up to 1 ms that is not the loop's fault.", &s.Lags),
		publisher.Metric{Name: "loop_timers", Help: "Timers and deadlines that wait.", Value: float64(s.Pending)},
	)
}

// queuesShown limits how many queues of the embedded broker have metrics of their own.
const queuesShown = 500

// Measure appends the broker's metrics.
func (e *embedded) Measure(dst []publisher.Metric) []publisher.Metric {
	s := e.server.Stats()
	queues := e.server.QueueStats(queuesShown)
	dst = publisher.AppendMetrics(dst, nil,
		publisher.Metric{Name: "broker_connections", Help: "Connections to the embedded broker, this process's own included.", Value: float64(s.Connections)},
		publisher.Metric{Name: "broker_connections_closing", Help: "Closed connections whose clients have not closed their sockets yet.", Value: float64(s.Closing)},
		publisher.Metric{Name: "broker_channels", Help: "Channels that are open.", Value: float64(s.Channels)},
		publisher.Metric{Name: "broker_consumers", Help: "Consumers of all queues.", Value: float64(s.Consumers)},
		publisher.Metric{Name: "broker_queues", Help: "Queues, exclusive ones included.", Value: float64(s.Queues)},
		publisher.Metric{Name: "broker_queues_unlisted", Help: "Queues without metrics of their own: exclusive ones, and all when more than 500 are not exclusive.", Value: float64(s.Queues - len(queues))},
		publisher.Metric{Name: "broker_exchanges", Help: "Exchanges besides the predeclared ones.", Value: float64(s.Exchanges)},
		publisher.Metric{Name: "broker_messages", Help: "Messages that are ready, in all queues.", Value: float64(s.Messages)},
		publisher.Metric{Name: "broker_unacked_messages", Help: "Messages delivered and not settled.", Value: float64(s.Unacked)},
		publisher.Metric{Name: "broker_memory_bytes", Help: "Octets of messages and their bookkeeping.", Value: float64(s.Memory)},
		publisher.Metric{Name: "broker_memory_max_bytes", Help: "The limit of broker_memory_bytes, broker.memory_max: above it publishers are blocked.", Value: float64(e.settings.MemoryMax)},
		publisher.Metric{Name: "broker_blocked", Help: "1 while publishers are blocked, for memory or disk.", Value: publisher.Bit(s.Blocked)},
		publisher.Metric{Name: "broker_disk_low", Help: "1 while less than broker.disk_free_min is free.", Value: publisher.Bit(s.DiskLow)},
		publisher.Metric{Name: "broker_store_waits", Help: "1 while the disk takes nothing, or only acks and the like: publishers are blocked, and the broker tries again.", Value: publisher.Bit(e.trouble != nil)},
		publisher.Metric{Name: "broker_store_failed", Help: "1 when the store has failed: persistent messages are not confirmed until the next start.", Value: publisher.Bit(e.failed != nil)},
	)
	if e.secure != nil {
		dst = e.secure.Measure(dst)
	}
	dst = e.measureTraffic(dst)
	for i := range queues {
		q := &queues[i]
		dst = publisher.AppendMetrics(dst, []publisher.Label{{Name: "vhost", Value: q.Vhost}, {Name: "queue", Value: q.Name}},
			publisher.Metric{Name: "broker_queue_messages", Help: "Messages of the queue that are ready.", Value: float64(q.Messages)},
			publisher.Metric{Name: "broker_queue_bytes", Help: "Octets of the bodies of the messages that are ready.", Value: float64(q.Bytes)},
			publisher.Metric{Name: "broker_queue_unacked_messages", Help: "Messages of the queue delivered and not settled.", Value: float64(q.Unacked)},
			publisher.Metric{Name: "broker_queue_consumers", Help: "Consumers of the queue.", Value: float64(q.Consumers)},
		)
	}
	return dst
}

// measureTraffic appends the broker's counters since the start.
func (e *embedded) measureTraffic(dst []publisher.Metric) []publisher.Metric {
	s := e.server.Stats()
	return publisher.AppendMetrics(dst, nil,
		publisher.Metric{Name: "broker_connections_opened_total", Help: "Connections whose login was accepted.", Value: float64(s.ConnectionsOpened)},
		publisher.Metric{Name: "broker_connections_hurried_total", Help: "Closed connections whose sockets the broker closed itself, because the client took longer than 30 s or a heartbeat, or because there were 256 of them.", Value: float64(s.Hurried)},
		publisher.Metric{Name: "broker_logins_refused_total", Help: "Logins of clients refused.", Value: float64(s.LoginsRefused)},
		publisher.Metric{Name: "broker_received_bytes_total", Help: "Octets from clients, without TLS.", Value: float64(s.OctetsIn)},
		publisher.Metric{Name: "broker_sent_bytes_total", Help: "Octets to clients, without TLS.", Value: float64(s.OctetsOut)},
		publisher.Metric{Name: "broker_published_total", Help: "Messages that clients published.", Value: float64(s.Published)},
		publisher.Metric{Name: "broker_unroutable_total", Help: "Messages returned or dropped because no queue took them.", Value: float64(s.Unroutable)},
		publisher.Metric{Name: "broker_returned_total", Help: "Messages returned to their publishers: mandatory, and no queue took them.", Value: float64(s.Returned)},
		publisher.Metric{Name: "broker_confirmed_total", Help: "Publishes confirmed to clients.", Value: float64(s.Confirmed)},
		publisher.Metric{Name: "broker_nacked_total", Help: "Publishes refused (basic.nack).", Value: float64(s.Nacked)},
		publisher.Metric{Name: "broker_delivered_total", Help: "Messages delivered to consumers.", Value: float64(s.Delivered)},
		publisher.Metric{Name: "broker_redelivered_total", Help: "Messages delivered with the redelivered flag.", Value: float64(s.Redelivered)},
		publisher.Metric{Name: "broker_got_total", Help: "Messages got by basic.get.", Value: float64(s.Got)},
		publisher.Metric{Name: "broker_acked_total", Help: "Messages acked.", Value: float64(s.Acked)},
		publisher.Metric{Name: "broker_rejected_total", Help: "Messages rejected or given back.", Value: float64(s.Rejected)},
	)
}
