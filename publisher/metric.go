package publisher

import "zamqp/loop/histogram"

// A Metric is one number of [Server.Metrics]. Its name follows Prometheus, without a prefix
// for the program: the part of the server, what is counted, the base unit, and _total at the
// end of a counter.
type Metric struct {
	Name   string
	Help   string
	Labels []Label // all metrics of one Name have the same labels in the same order
	Value  float64
	// Times makes the metric a histogram of durations, in place of Value. It is a copy.
	Times *Histogram
}

// A Histogram counts durations in buckets.
type Histogram = histogram.Histogram

// HistogramBounds are the largest durations of a histogram's buckets.
var HistogramBounds = histogram.Bounds

// TimesMetric returns the metric of a histogram, of which it makes a copy.
func TimesMetric(name, help string, h *Histogram) Metric {
	own := *h
	return Metric{Name: name, Help: help, Times: &own}
}

// A Label tells metrics of one name apart. Its values come from the configuration, or the
// meter limits their number.
type Label struct{ Name, Value string }

// A Meter measures parts of the server; doors are meters. Measure appends to dst. It runs on
// the loop's thread, between calls, and only reads counters that exist.
type Meter interface{ Measure(dst []Metric) []Metric }

// AddMeter adds a meter's metrics to [Server.Metrics].
func (s *Server) AddMeter(m Meter) { s.meters = append(s.meters, m) }

// AppendMetrics appends the metrics of one part, each with these labels.
func AppendMetrics(dst []Metric, labels []Label, metrics ...Metric) []Metric {
	for _, m := range metrics {
		m.Labels = labels
		dst = append(dst, m)
	}
	return dst
}

// Bit returns 1 for true and 0 for false.
func Bit(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// Metrics returns the numbers of a [Snapshot] and of each part, in no order. They are not in
// Snapshot because they are many, and most readers of a Snapshot do not need them.
func (s *Server) Metrics() []Metric {
	snap := s.Snapshot()
	dst := s.measure(nil, &snap)
	for _, m := range s.meters {
		dst = m.Measure(dst)
	}
	return dst
}

// measure appends the server's own metrics.
func (s *Server) measure(dst []Metric, snap *Snapshot) []Metric {
	sockets := s.sockets.Stats()
	dst = AppendMetrics(dst, nil,
		Metric{Name: "requests_total", Help: "HTTP requests that became calls.", Value: float64(s.stats.Requests)},
		Metric{Name: "messages_total", Help: "Messages that became calls, each attempt.", Value: float64(s.stats.Messages)},
		Metric{Name: "failures_total", Help: "Calls that ended in an error.", Value: float64(s.stats.Failures)},
		Metric{Name: "children_total", Help: "Functions given to Go that were started.", Value: float64(s.stats.Children)},
		Metric{Name: "panics_total", Help: "Calls that ended with a panic; they also count as failures.", Value: float64(s.stats.Panics)},
		Metric{Name: "undone_total", Help: "Calls whose answer was a refusal (400 and more), which aborted what they had published or joined.", Value: float64(s.stats.Undone)},
		Metric{Name: "conflicts_total", Help: "Runs that were repeated because of a conflict.", Value: float64(s.stats.Conflicts)},
		Metric{Name: "foreign_uses_total", Help: "Methods of requests that were called on a foreign goroutine or after the call, and did nothing: a mistake in a handler, which the log names.", Value: float64(s.foreign.total.Load())},
		Metric{Name: "detached_publishes_total", Help: "Publishes outside of a call, by publisher.Publish, that were handed to their connection.", Value: float64(s.detached.total)},
		Metric{Name: "detached_publish_failures_total", Help: "Publishes outside of a call that failed.", Value: float64(s.detached.failed)},
		Metric{Name: "refused_total", Help: "HTTP requests answered without a handler: no route, too many calls.", Value: float64(s.stats.Refused)},
		Metric{Name: "message_body_bytes", Help: "Octets of the bodies of messages that are held, from their arrival to the end of their call.", Value: float64(s.messageOctets)},
		Metric{Name: "calls", Help: "Calls that run or wait.", Value: float64(snap.Live)},
		Metric{Name: "streams", Help: "Answers that are being streamed.", Value: float64(s.streams)},
		Metric{Name: "files_open", Help: "Files that are open from one piece of an answer to the next.", Value: float64(s.files.open)},
		Metric{Name: "file_buffer_bytes", Help: "Octets in the large buffers of files that are being sent; at most 32 MiB.", Value: float64(s.files.octets)},
		Metric{Name: "websockets", Help: "WebSockets that a handler serves.", Value: float64(s.openSockets)},
		Metric{Name: "websocket_messages_received_total", Help: "Messages that clients have sent by WebSockets.", Value: float64(sockets.Received)},
		Metric{Name: "websocket_messages_sent_total", Help: "Messages that were written to WebSockets.", Value: float64(sockets.Sent)},
		Metric{Name: "websocket_violations_total", Help: "WebSockets that were closed because of what the client sent: malformed, too long, no UTF-8.", Value: float64(sockets.Violations)},
		Metric{Name: "websocket_silent_total", Help: "WebSockets that were given up because the client did not answer a ping.", Value: float64(sockets.Silent)},
		Metric{Name: "websocket_slow_total", Help: "WebSockets that were given up because the client took nothing, or too little.", Value: float64(sockets.Slow)},
		Metric{Name: "draining", Help: "1 while the server shuts down.", Value: Bit(snap.Draining)},
		Metric{Name: "ready", Help: "1 while every part is ready and the server takes calls, as /readyz.", Value: Bit(snap.Ready())},
	)
	for i := range snap.Parts {
		part := &snap.Parts[i]
		dst = AppendMetrics(dst, []Label{{"kind", part.Kind}, {"name", part.Name}},
			Metric{Name: "part_ready", Help: "1 while a part is ready, as in /readyz.", Value: Bit(part.Ready)})
	}
	for name, c := range s.consumers {
		dst = AppendMetrics(dst, []Label{{"consumer", name}},
			Metric{Name: "consumer_calls_total", Help: "Messages of the consumer that became calls, each attempt.", Value: float64(c.calls)},
			Metric{Name: "consumer_failures_total", Help: "Calls of the consumer that ended in an error.", Value: float64(c.failures)})
	}
	dst = s.answers.measure(s.measureTimes(dst))
	return s.measureTopics(s.outgoing.measure(s.measurePools(dst)))
}
