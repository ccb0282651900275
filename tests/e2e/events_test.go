package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.AddTopic("e2e-news", publisher.Topic{Exchange: "e2e-news", Events: 100})
	publisher.AddTopic("e2e-local", publisher.Topic{Octets: 64 * publisher.KiB})
	publisher.Handle("GET /news", publisher.Follow("e2e-news"))
	publisher.Handle("GET /local", publisher.Follow("e2e-local"))
	publisher.Handle("POST /broadcast/{topic}", func(r *publisher.Request) error {
		if err := r.Broadcast(r.PathValue("topic"), publisher.Event{ID: r.Header("Id"), Name: r.Header("Name"), Data: string(r.Body())}); err != nil {
			return err
		}
		if r.Header("Fail") != "" {
			return errors.New("told to fail")
		}
		return r.Reply(202, nil)
	})
	publisher.Handle("GET /beats", func(r *publisher.Request) error {
		return r.Events(func(e *publisher.Events) error {
			e.Heartbeat(10 * time.Millisecond)
			return r.Sleep(time.Hour)
		})
	})
	publisher.Handle("GET /limited", publisher.Follow("e2e-local"), publisher.StreamTimeout(time.Millisecond))
}

// browser is a client of server-sent events.
type browser struct {
	t      *testing.T
	cancel context.CancelFunc
	answer *http.Response
	mu     sync.Mutex
	lines  []string // without comments
	beats  int
	err    error
	over   chan struct{}
}

func (s *server) browse(path, last string) *browser {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-cache" {
		s.t.Fatalf("%s: %d %v", path, resp.StatusCode, resp.Header)
	}
	b := &browser{t: s.t, cancel: cancel, answer: resp, over: make(chan struct{})}
	go b.read()
	s.t.Cleanup(b.close)
	return b
}

func (b *browser) read() {
	defer close(b.over)
	defer func() { _ = b.answer.Body.Close() }()
	in := bufio.NewScanner(b.answer.Body)
	for in.Scan() {
		b.mu.Lock()
		switch line := in.Text(); {
		case strings.HasPrefix(line, ":"):
			b.beats++
		case line != "" && !strings.HasPrefix(line, "retry:"):
			b.lines = append(b.lines, line)
		}
		b.mu.Unlock()
	}
	b.err = in.Err()
}

func (b *browser) close() {
	b.cancel()
	<-b.over
}

// await waits until these lines have come, and no others.
func (b *browser) await(lines ...string) {
	b.t.Helper()
	wait.Until(b.t, fmt.Sprintf("the browser has %q", lines), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.lines) >= len(lines)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := strings.Join(b.lines, "|"); got != strings.Join(lines, "|") {
		b.t.Errorf("got  %q\nwant %q", b.lines, lines)
	}
}

func (b *browser) comments() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beats
}

func (s *server) broadcast(topic, id, data string, fields ...string) int {
	s.t.Helper()
	req, err := http.NewRequest("POST", s.url+"/broadcast/"+topic, strings.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Id", id)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestTopicReachesTheBrowsersOfAllProcesses: two servers share a fanout exchange.
func TestTopicReachesTheBrowsersOfAllProcesses(t *testing.T) {
	everywhere(t, topicReachesTheBrowsersOfAllProcesses)
}

func topicReachesTheBrowsersOfAllProcesses(t *testing.T, at broker) {
	one := start(t, at)
	if one.own != "" {
		noStreams.Store(one.own, true)
	}
	two := start(t, func(*testing.T) string { return one.amqp }, "broker.listen=", "consumer.e2e-exclusive.enabled=false", "consumer.e2e-alone.enabled=false")
	a, b := one.browse("/news", ""), two.browse("/news", "")
	id := unique(t)
	if status := one.broadcast("e2e-news", id+"1", "first", "Name", "greeting"); status != 202 {
		t.Fatal(status)
	}
	for _, browser := range []*browser{a, b} {
		browser.await("id: "+id+"1", "event: greeting", "data: first")
	}
	if status := two.broadcast("e2e-news", id+"x", "never", "Fail", "yes"); status != 500 {
		t.Errorf("status %d", status)
	}
	// A client of another make publishes to the exchange.
	ch := one.channel()
	if err := ch.Publish("e2e-news", "", false, false, amqp.Publishing{MessageId: id + "2", Body: []byte("second\nline")}); err != nil {
		t.Fatal(err)
	}
	for _, browser := range []*browser{a, b} {
		browser.await("id: "+id+"1", "event: greeting", "data: first", "id: "+id+"2", "data: second", "data: line")
	}
	// A browser comes back to the other server, with its last event.
	a.close()
	one.broadcast("e2e-news", id+"3", "third")
	b.await("id: "+id+"1", "event: greeting", "data: first", "id: "+id+"2", "data: second", "data: line", "id: "+id+"3", "data: third")
	again := two.browse("/news", id+"1")
	again.await("id: "+id+"2", "data: second", "data: line", "id: "+id+"3", "data: third")
	// The one server stops. The stream ends cleanly; the others go on.
	left := one.browse("/news", "")
	if err := one.drain(); err != nil {
		t.Error(err)
	}
	<-left.over
	if left.err != nil {
		t.Errorf("the stream of the server that has stopped ended with %v", left.err)
	}
	if one.own != "" {
		return // with its broker
	}
	two.broadcast("e2e-news", id+"4", "fourth")
	again.await("id: "+id+"2", "data: second", "data: line", "id: "+id+"3", "data: third", "id: "+id+"4", "data: fourth")
}

// TestSlowClientOfATopic: a client that does not read is dropped. The others get everything, and
// the server goes on.
func TestSlowClientOfATopic(t *testing.T) {
	s := start(t, embedded)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	if _, err := io.WriteString(conn, "GET /local HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	fast := s.browse("/local", "")
	wait.Until(t, "both follow", func() bool { return s.metric("topic_subscribers", "topic=e2e-local") == 2 })
	text := strings.Repeat("x", 8<<10)
	sent := 0
	wait.Until(t, "the slow client is dropped", func() bool {
		for range 100 {
			s.broadcast("e2e-local", fmt.Sprint(sent), text)
			sent++
		}
		return s.metric("topic_slow_total", "topic=e2e-local") == 1
	})
	var want []string
	for i := range sent {
		want = append(want, fmt.Sprint("id: ", i), "data: "+text)
	}
	fast.await(want...)
	wait.Until(t, "the slow client is gone", func() bool { return s.metric("topic_subscribers", "topic=e2e-local") == 1 })
	if s.metric("topic_kept_bytes", "topic=e2e-local") > 64<<10+20<<10 {
		t.Error("the topic keeps more than it may")
	}
}

func TestHeartbeatsOfAStreamOfEvents(t *testing.T) {
	s := start(t, embedded)
	b := s.browse("/beats", "")
	wait.Until(t, "three heartbeats", func() bool { return b.comments() >= 3 })
	if s.metric("event_heartbeats_total") < 3 || s.metric("event_streams") != 1 {
		t.Errorf("%v heartbeats, %v streams", s.metric("event_heartbeats_total"), s.metric("event_streams"))
	}
}

// TestStreamTimeoutOfEvents: the stream ends cleanly, and the client comes back.
func TestStreamTimeoutOfEvents(t *testing.T) {
	s := start(t, embedded)
	b := s.browse("/limited", "")
	if <-b.over; b.err != nil {
		t.Errorf("the stream ended with %v", b.err)
	}
}

// TestStreamsOfEventsLeaveRoomForCalls: they stay for hours, and are not counted as calls.
func TestStreamsOfEventsLeaveRoomForCalls(t *testing.T) {
	s := start(t, embedded, "server.calls_max=2")
	for range 5 {
		s.browse("/news", "")
	}
	wait.Until(t, "all follow", func() bool { return s.metric("topic_subscribers", "topic=e2e-news") == 5 })
	if status, body := s.get("/sleep/1"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}
