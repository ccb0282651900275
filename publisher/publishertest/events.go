package publishertest

import (
	"strconv"
	"strings"
	"time"

	"zamqp/publisher"
)

// An EventStream is a client of server-sent events, such as a browser's EventSource: see
// [Server.Events].
type EventStream struct {
	s     *Server
	call  *publisher.Call
	w     *waiter
	read  int // octets of the answer that were read
	retry time.Duration
	last  string // the last id
	came  []publisher.Event
}

// Events makes a GET request that is answered by a stream of events ([publisher.Request.Events]),
// and keeps it open until the end of the test. fields are further header fields, as "Name:
// value". If the answer is not such a stream, the test fails.
//
//	news := s.Events("/news")
//	s.Request("POST", "/news", "text/plain", "hello")
//	if got := news.Next(); got.Data != "hello" { … }
//	news.Close()
//	again := s.Events("/news", "Last-Event-ID: "+news.LastEventID())
func (s *Server) Events(target string, fields ...string) *EventStream {
	s.t.Helper()
	e := &EventStream{s: s, w: &waiter{}}
	e.call = s.newRequest("GET", target, "", append(fields, "Accept: text/event-stream"))
	s.server.Dispatch(e.call, e.w)
	s.turn(func() bool { return e.w.begun || e.w.over })
	if got := e.w.response; got.Status != 200 || got.ContentType != "text/event-stream" {
		s.t.Fatalf("publishertest: %s is no stream of events: %d, %s %s: %v", target, got.Status, got.ContentType, got.Body, got.Err)
	}
	s.t.Cleanup(e.Close)
	return e
}

// Next waits for the next event. While the stream's function sleeps, it moves time. The test
// fails if no event comes, because everything waits or the stream has ended.
func (e *EventStream) Next() publisher.Event {
	e.s.t.Helper()
	e.s.turn(func() bool { e.parse(); return len(e.came) > 0 || e.w.over })
	if len(e.came) == 0 {
		e.s.t.Fatalf("publishertest: the stream of events has ended: %v", e.w.outcome.Err)
	}
	next := e.came[0]
	e.came = e.came[1:]
	return next
}

// Events returns the events that have come and were not returned before, without moving time.
// The Data of each is a string.
func (e *EventStream) Events() []publisher.Event {
	e.s.t.Helper()
	e.s.runUntil(e.s.now, false)
	e.parse()
	came := e.came
	e.came = nil
	return came
}

// LastEventID is the id that a client sends as Last-Event-ID when it connects again.
func (e *EventStream) LastEventID() string { return e.last }

// Retry is the time after which the client should connect again; 0 if the stream has not said it.
func (e *EventStream) Retry() time.Duration { return e.retry }

// Octets returns everything that has come, comments included.
func (e *EventStream) Octets() string { return string(e.w.streamed) }

// Over reports whether the stream has ended. err is the reason; nil if it has ended cleanly.
func (e *EventStream) Over() (over bool, err error) {
	e.s.settle()
	return e.w.over, e.w.outcome.Err
}

// Stall makes the client stop reading, or go on.
func (e *EventStream) Stall(on bool) {
	if e.w.stalled = on; !on && !e.w.over {
		e.call.Wake()
		e.s.settle()
	}
}

// Close ends the stream, as a client that goes.
func (e *EventStream) Close() {
	if !e.w.over {
		e.call.Cancel(publisher.ErrGone)
		e.s.turn(func() bool { return e.w.over })
	}
}

// parse reads the events that are whole. HTML Standard §9.2.6.
func (e *EventStream) parse() {
	for {
		block, _, whole := strings.Cut(string(e.w.streamed[e.read:]), "\n\n")
		if !whole {
			return
		}
		e.read += len(block) + len("\n\n")
		var event publisher.Event
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ":")
			switch value = strings.TrimPrefix(value, " "); field {
			case "id":
				e.last = value
			case "event":
				event.Name = value
			case "data":
				data = append(data, value)
			case "retry":
				if ms, err := strconv.Atoi(value); err == nil {
					e.retry = time.Duration(ms) * time.Millisecond
				}
			}
		}
		if event.ID = e.last; data != nil {
			event.Data = strings.Join(data, "\n")
			e.came = append(e.came, event)
		}
	}
}
