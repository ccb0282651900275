package guide_test

import (
	"context"
	"errors"
	"log"
	"net/http"
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
	clock := s.Events("/clock")
	for range 2 {
		if tick := clock.Next(); tick.Name != "time" {
			t.Errorf("the clock ticks with %q", tick.Name)
		}
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

func init() {
	publisher.Produce("chat", publisher.Producer{Exchange: "chat", ExchangeType: "topic"})
	publisher.WebSocket("GET /chat/{room}", chat)
	publisher.WebSocket("GET /live", live)
}

func chat(ws *publisher.Socket) error {
	room := ws.PathValue("room")
	for {
		_, text, err := ws.Read()
		if err != nil {
			return err
		}
		if err := ws.Publish("chat", text, publisher.Key(room)); err != nil {
			return err
		}
		if err := ws.Commit(); err != nil {
			return err // 1013: try again later
		}
		if err := ws.WriteText("said"); err != nil { // the broker has it
			return err
		}
	}
}

func live(ws *publisher.Socket) error {
	if ws.Header("Authorization") == "" {
		return publisher.Errorf(http.StatusUnauthorized, "who are you?")
	}
	if err := ws.Follow("prices"); err != nil { // the events of a topic, from now on
		return err
	}
	return ws.AwaitClose() // what the client sends is dropped
}

// TestChat: "said" means that the broker has it.
func TestChat(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	c := s.Dial("/chat/go")
	c.Send("hello")
	if got := c.Next(); got.Data != "said" {
		t.Errorf("%+v", got)
	}
	if got := s.Published(); len(got) != 1 || got[0].RoutingKey != "go" || string(got[0].Body) != "hello" {
		t.Errorf("%+v", got)
	}
	s.Confirm(errors.New("nacked"))
	c.Send("not heard")
	if code, _ := c.Closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}
}

// TestLive: nobody may follow who is not known.
func TestLive(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	if _, got := s.TryDial("/live"); got.Status != 401 {
		t.Errorf("%+v", got)
	}
	c := s.Dial("/live", "Authorization: Bearer x")
	if err := s.Server().Broadcast(t.Context(), "prices", publisher.Event{Data: "hear, hear"}); err != nil {
		t.Fatal(err)
	}
	if got := c.Next(); got.Data != "hear, hear" {
		t.Errorf("%+v", got)
	}
}
