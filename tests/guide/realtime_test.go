package guide_test

import (
	"context"
	"log"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func init() {
	publisher.AddTopic("news", publisher.Topic{Exchange: "news"})
	publisher.Handle("GET /news", publisher.Follow("news"))
	publisher.Handle("POST /news", announce)
}

func announce(r *publisher.Request) error {
	r.Broadcast("news", publisher.Event{Name: "headline", Data: string(r.Body())})
	return r.Reply(202, nil) // the event leaves now; with an error nothing does
}

func init() {
	publisher.AddTopic("prices", publisher.Topic{})
	publisher.Handle("GET /prices", publisher.Follow("prices"))
	publisher.Handle("POST /prices", func(r *publisher.Request) error {
		return r.Broadcast("prices", publisher.Event{Data: string(r.Body())})
	})
	publisher.Handle("GET /board", board)
	publisher.Handle("GET /clock", clock)
}

func watch(ctx context.Context, prices <-chan float64) {
	for price := range prices {
		if err := publisher.Broadcast(ctx, "prices", publisher.Event{Data: price}); err != nil {
			log.Print(err)
		}
	}
}

func headlines() []string { return []string{"old news"} }

func board(r *publisher.Request) error {
	return r.Events(func(e *publisher.Events) error {
		if e.LastEventID() == "" || e.Missed("news") {
			if err := e.Send(publisher.Event{Name: "all", Data: headlines()}); err != nil {
				return err
			}
		}
		return e.Follow("news")
	})
}

func clock(r *publisher.Request) error {
	return r.Events(func(e *publisher.Events) error {
		for {
			if err := e.Send(publisher.Event{Name: "time", Data: r.Now()}); err != nil {
				return err
			}
			if err := r.Sleep(time.Second); err != nil {
				return err
			}
		}
	})
}

func TestNews(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	ticker := s.Events("/prices")
	s.Request("POST", "/prices", "text/plain", "9.99")
	if got := ticker.Next(); got.Data != "9.99" {
		t.Errorf("%+v", got)
	}
	ticker.Close()
	s.Request("POST", "/prices", "text/plain", "10.49")
	again := s.Events("/prices", "Last-Event-ID: "+ticker.LastEventID())
	if got := again.Next(); got.Data != "10.49" {
		t.Errorf("%+v", got)
	}
}

// TestNewsOfTheExchange: an event leaves as a message, and a message comes in as an event.
func TestNewsOfTheExchange(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	news, ours := s.Events("/news"), s.Events("/board")
	if got := ours.Next(); got.Name != "all" || got.Data != `["old news"]` {
		t.Errorf("%+v", got)
	}
	s.Request("POST", "/news", "text/plain", "hello")
	sent := s.Published()
	if len(sent) != 1 || sent[0].Exchange != "news" || sent[0].Type != "headline" || sent[0].MessageId == "" || sent[0].DeliveryMode != 1 {
		t.Fatalf("%+v", sent)
	}
	for range 2 { // the second one is a copy
		if got := s.Deliver("topic-news", sent[0].Publishing); got.Err != nil {
			t.Error(got.Err)
		}
	}
	if got := news.Events(); len(got) != 1 || got[0].Name != "headline" || got[0].Data != "hello" || got[0].ID != sent[0].MessageId {
		t.Errorf("%+v", got)
	}
	if got := ours.Next(); got.Data != "hello" {
		t.Errorf("%+v", got)
	}
	if again := s.Events("/board", "Last-Event-ID: "+news.LastEventID()); len(again.Events()) != 0 {
		t.Error("a client that has missed nothing gets something")
	}
	if lost := s.Events("/board", "Last-Event-ID: from yesterday"); lost.Next().Name != "all" {
		t.Error("a client that has missed events does not get the whole state")
	}
	if tick := s.Events("/clock"); tick.Next().Name != "time" || tick.Next().Name != "time" {
		t.Error("the clock does not tick")
	}
}

// TestPricesOfAGoroutine: a goroutine of its own sends events.
func TestPricesOfAGoroutine(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	ticker := s.Events("/prices")
	prices := make(chan float64, 1)
	prices <- 1.5
	close(prices)
	if err := s.Run(func() error { watch(context.Background(), prices); return nil }); err != nil {
		t.Error(err)
	}
	if got := ticker.Next(); got.Data != "1.5" {
		t.Errorf("%+v", got)
	}
}
