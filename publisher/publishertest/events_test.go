package publishertest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// newsroom has a topic, and handlers that send to it and follow it.
func newsroom() *publisher.Registry {
	g := publisher.NewRegistry()
	g.AddTopic("news", publisher.Topic{Events: 4})
	g.Handle("GET /news", publisher.Follow("news"))
	g.Handle("POST /news", func(r *publisher.Request) error {
		if err := r.Broadcast("news", publisher.Event{ID: r.Header("Id"), Data: string(r.Body())}); err != nil {
			return err
		}
		if r.Header("Fail") != "" {
			return errors.New("failed")
		}
		if r.Header("Refuse") != "" {
			return r.Text(422, "refused")
		}
		return r.Reply(202, nil)
	})
	g.Handle("GET /strict", func(r *publisher.Request) error {
		return r.Events(func(e *publisher.Events) error {
			return e.FollowOnly("news", func(event *publisher.Event) bool {
				if string(event.Data.([]byte)) == "bad" {
					panic("on purpose")
				}
				return event.ID != "0"
			})
		})
	})
	g.Handle("GET /ticks", func(r *publisher.Request) error {
		return r.Events(func(e *publisher.Events) error {
			for n := 0; ; n++ {
				if err := e.Send(publisher.Event{ID: fmt.Sprint(n), Name: "tick", Data: n}); err != nil {
					return err
				}
				if err := r.Sleep(time.Minute); err != nil {
					return err
				}
			}
		})
	})
	return g
}

func TestEventsOfATopic(t *testing.T) {
	s := publishertest.New(t, newsroom())
	one, two := s.Events("/news"), s.Events("/news")
	if got := s.Request("POST", "/news", "text/plain", "first", "Id: 1"); got.Status != 202 {
		t.Fatalf("%+v", got)
	}
	s.Request("POST", "/news", "text/plain", "not sent", "Id: x", "Fail: yes")
	s.Request("POST", "/news", "text/plain", "not sent", "Id: y", "Refuse: yes")
	s.Request("POST", "/news", "text/plain", "second", "Id: 2")
	for _, stream := range []*publishertest.EventStream{one, two} {
		if got := stream.Next(); got.ID != "1" || got.Data != "first" {
			t.Errorf("%+v", got)
		}
		if got := stream.Events(); len(got) != 1 || got[0].Data != "second" {
			t.Errorf("%+v", got)
		}
	}
	if one.Retry() < time.Second || one.Retry() > 5*time.Second {
		t.Errorf("retry %s", one.Retry())
	}
	one.Close()
	if over, err := one.Over(); !over || !errors.Is(err, publisher.ErrGone) {
		t.Errorf("over %v: %v", over, err)
	}
	s.Request("POST", "/news", "text/plain", "third", "Id: 3")
	again := s.Events("/news", "Last-Event-ID: "+one.LastEventID())
	if got := again.Next(); got.Data != "third" {
		t.Errorf("after the reconnect: %+v", got)
	}
	if got := two.Next(); got.Data != "third" {
		t.Errorf("%+v", got)
	}
}

func TestEventsAndTime(t *testing.T) {
	s := publishertest.New(t, newsroom())
	ticks := s.Events("/ticks")
	for n := range 3 {
		if got := ticks.Next(); got.Name != "tick" || got.Data != fmt.Sprint(n) {
			t.Errorf("%+v", got)
		}
	}
	news := s.Events("/news")
	before := len(news.Octets())
	s.Advance(time.Minute)
	if got := strings.Count(news.Octets()[before:], ":\n\n"); got < 4 || got > 5 {
		t.Errorf("%d heartbeats in a minute of silence", got)
	}
	if len(news.Events()) != 0 {
		t.Error("a heartbeat is taken for an event")
	}
}

func TestASlowStreamIsDropped(t *testing.T) {
	s := publishertest.New(t, newsroom())
	slow, fast := s.Events("/news"), s.Events("/news")
	slow.Stall(true)
	for i := range 6 {
		s.Request("POST", "/news", "text/plain", "x", fmt.Sprint("Id: ", i))
		if got := fast.Next(); got.ID != fmt.Sprint(i) {
			t.Fatalf("%+v", got)
		}
	}
	if over, err := slow.Over(); !over || !errors.Is(err, publisher.ErrSlow) {
		t.Errorf("over %v: %v", over, err)
	}
	if over, _ := fast.Over(); over {
		t.Error("the other one was dropped, too")
	}
}

// TestAFilterThatPanics: it ends one stream, and no other.
func TestAFilterThatPanics(t *testing.T) {
	s := publishertest.New(t, newsroom())
	strict, other := s.Events("/strict"), s.Events("/news")
	for id, text := range []string{"hidden", "good", "bad", "after"} {
		s.Request("POST", "/news", "text/plain", text, fmt.Sprint("Id: ", id))
	}
	if got := strict.Events(); len(got) != 1 || got[0].Data != "good" {
		t.Errorf("%+v", got)
	}
	var p *publisher.PanicError
	if over, err := strict.Over(); !over || !errors.As(err, &p) || p.Value != "on purpose" {
		t.Errorf("over %v: %v", over, err)
	}
	if got := other.Events(); len(got) != 4 {
		t.Errorf("%+v", got)
	}
}

func TestEventsEndWithTheDrain(t *testing.T) {
	s := publishertest.New(t, newsroom())
	news := s.Events("/news")
	s.Server().BeginDrain()
	news.Events()
	if over, err := news.Over(); !over || err != nil {
		t.Errorf("over %v: %v", over, err)
	}
}

// TestADrainEndsStreamsInSlices: ten thousand of them do not end in one turn.
func TestADrainEndsStreamsInSlices(t *testing.T) {
	s := publishertest.New(t, newsroom())
	streams := make([]*publishertest.EventStream, 600)
	for i := range streams {
		streams[i] = s.Events("/news")
	}
	over := func() (n int) {
		for _, stream := range streams {
			if over, _ := stream.Over(); over {
				n++
			}
		}
		return n
	}
	s.Server().BeginDrain()
	if n := over(); n == 0 || n > 256 {
		t.Errorf("%d streams have ended in the turn of the drain", n)
	}
	streams[0].Events()
	if n := over(); n != len(streams) {
		t.Errorf("%d of %d streams have ended", n, len(streams))
	}
}

func TestHeadOfAStreamOfEvents(t *testing.T) {
	s := publishertest.New(t, newsroom())
	if got := s.Request("HEAD", "/news", "", ""); got.Status != 200 || got.ContentType != "text/event-stream" || got.Body != "" || got.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%+v", got)
	}
}
