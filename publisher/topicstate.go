package publisher

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// A topic is a [Topic] in a server that runs: its events and its subscribers. Loop thread only,
// except for the fields that never change.
type topic struct {
	Topic
	name   string
	fanout *fanout
	log    eventLog
	told   int64 // the last time that slow clients were logged, in Unix seconds

	idle    subscriptions // that have got all events
	behind  subscriptions // that have not, and can take more
	blocked subscriptions // that have not, and can take no more now; the one that waits longest is first
	queued  bool          // in fanout.topics
	line    []*broadcast  // events that wait for room, in order

	stats topicStats
}

// topicStats are a topic's counts since the start of the server.
type topicStats struct {
	subscribers int
	events      uint64 // that were broadcast
	deliveries  uint64 // events that clients got, counted for each client
	slow        uint64 // clients that were dropped because they were too slow
	repeated    uint64 // messages with the id of an event that the topic keeps
	resumed     uint64 // clients that came back and said what their last event was
	missed      uint64 // of these, the clients whose last event was not kept
	unfit       uint64 // events that a client's protocol cannot carry, counted for each client
}

// realtime is what a server has for clients that stay connected.
type realtime struct {
	topics       map[string]*topic // never changes
	fanout       fanout
	eventStreams int    // streams of server-sent events
	heartbeats   uint64 // comments sent on them
}

// topic returns the topic of that name.
func (s *Server) topic(name string) (*topic, error) {
	if t := s.topics[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("no such topic: declare it by publisher.AddTopic(%q, …)", name)
}

// makeTopics makes the topics of the registry; settings replace the registered ones.
func (s *Server) makeTopics(registered, settings map[string]Topic) {
	s.fanout.server, s.fanout.slice = s, s.fanout.run
	s.fanout.prefix = strconv.FormatUint(rand.Uint64(), 36) + "-"
	s.topics = make(map[string]*topic, len(registered))
	for name, t := range registered {
		if set, ok := settings[name]; ok {
			t = set
		}
		t = t.WithDefaults()
		made := &topic{Topic: t, name: name, fanout: &s.fanout, log: newEventLog(t)}
		made.idle.init()
		made.behind.init()
		made.blocked.init()
		s.topics[name] = made
	}
}

// subscribe makes a client follow the topic. after is the id of the last event that the client
// has got; "" is none, and the client gets the events that come from now on. If that event is not
// kept, the client may have missed some, and gets all that are kept.
func (t *topic) subscribe(sub *subscription, to subscriber, after string, filter func(*Event) bool) {
	*sub = subscription{topic: t, to: to, filter: filter, seq: t.log.end()}
	t.stats.subscribers++
	if after != "" && !t.NoHistory {
		t.stats.resumed++
		var found bool
		if sub.seq, found = t.log.after(after); !found {
			t.stats.missed++
		}
	}
	t.place(sub)
}

// place puts a subscription that can take more into its list.
func (t *topic) place(sub *subscription) {
	sub.blocked = false
	if sub.seq == t.log.end() {
		t.idle.add(sub)
		return
	}
	t.behind.add(sub)
	t.activate()
}

// add sends an event to the topic's subscribers, over the next turns of the loop.
func (t *topic) add(e *topicEvent) {
	t.stats.events++
	if e.ID == "" && !t.NoHistory {
		e.ID = t.fanout.newID()
	}
	t.log.add(e)
	t.behind.take(&t.idle)
	t.activate()
}

// activate makes the fan-out serve the topic, if that has a subscriber to serve.
func (t *topic) activate() {
	if !t.queued && t.busy() {
		t.queued = true
		t.fanout.add(t)
	}
}

// busy reports whether there is a subscriber to serve, or one to drop.
func (t *topic) busy() bool { return !t.behind.empty() || t.overdue() != nil }

// overdue is the subscription that has been blocked for the longest time, if its next event
// is not kept any more.
func (t *topic) overdue() *subscription {
	if sub := t.blocked.first(); sub != nil && sub.seq < t.log.first {
		return sub
	}
	return nil
}

// measureTopics appends the numbers of topics and of streams of events.
func (s *Server) measureTopics(dst []Metric) []Metric {
	dst = AppendMetrics(dst, nil,
		Metric{Name: "event_streams", Help: "Streams of server-sent events that are open.", Value: float64(s.eventStreams)},
		Metric{Name: "event_heartbeats_total", Help: "Comments sent on streams of server-sent events because there were no events.", Value: float64(s.heartbeats)},
	)
	for name, t := range s.topics {
		dst = AppendMetrics(dst, []Label{{"topic", name}},
			Metric{Name: "topic_subscribers", Help: "Clients that follow the topic.", Value: float64(t.stats.subscribers)},
			Metric{Name: "topic_events_total", Help: "Events of the topic.", Value: float64(t.stats.events)},
			Metric{Name: "topic_deliveries_total", Help: "Events of the topic, counted for each client that got them.", Value: float64(t.stats.deliveries)},
			Metric{Name: "topic_kept_events", Help: "Events that the topic keeps for clients that are slower or come back.", Value: float64(t.log.count)},
			Metric{Name: "topic_kept_bytes", Help: "Memory of the events that the topic keeps, about.", Value: float64(t.log.octets)},
			Metric{Name: "topic_waiting", Help: "Events that wait until clients have got earlier ones.", Value: float64(len(t.line))},
			Metric{Name: "topic_slow_total", Help: "Clients that were dropped because their next event was not kept any more: they read more slowly than the events come.", Value: float64(t.stats.slow)},
			Metric{Name: "topic_resumed_total", Help: "Clients that came back and said what their last event was.", Value: float64(t.stats.resumed)},
			Metric{Name: "topic_missed_total", Help: "Clients that came back and whose last event was not kept: they may have missed events.", Value: float64(t.stats.missed)},
			Metric{Name: "topic_repeated_total", Help: "Messages that were not sent to clients because the topic keeps an event with the same id.", Value: float64(t.stats.repeated)},
			Metric{Name: "topic_unfit_total", Help: "Events that were not sent to a client because its protocol cannot carry their data, counted for each client.", Value: float64(t.stats.unfit)},
		)
	}
	return dst
}
