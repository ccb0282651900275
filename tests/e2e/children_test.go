package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// together answers only when three requests wait at once: one after the other would wait for
// ever.
type together struct {
	mu  sync.Mutex
	n   int
	all chan struct{}
}

func (g *together) ask() error {
	g.mu.Lock()
	if g.n++; g.n == 3 {
		close(g.all)
	}
	all := g.all
	g.mu.Unlock()
	select {
	case <-all:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("not all have asked")
	}
}

var threeBackends = map[string]*together{"/children": {all: make(chan struct{})}, "/children/http": {all: make(chan struct{})}, "message": {all: make(chan struct{})}}

func askAll(r *publisher.Request, at string) error {
	answers := 0
	var mu sync.Mutex // for publisher.HTTP
	for range 3 {
		r.Go(func() error {
			err := r.Offload(threeBackends[at].ask)
			mu.Lock()
			defer mu.Unlock()
			answers++
			return err
		})
	}
	if err := r.Wait(); err != nil {
		return err
	}
	see(at)
	return r.Text(200, fmt.Sprint(answers))
}

func init() {
	publisher.Handle("GET /children", func(r *publisher.Request) error { return askAll(r, "/children") })
	publisher.Handle("GET /children/panic", func(r *publisher.Request) error {
		r.Go(func() error { return r.Sleep(time.Hour) })
		r.Go(func() error { panic("a child at the disco") })
		return nil
	})
	publisher.Handle("GET /children/limit", func(r *publisher.Request) error {
		r.Go(func() error { return r.Sleep(time.Hour) })
		return r.Wait()
	}, publisher.RouteTimeout(50*time.Millisecond))
	publisher.Handle("GET /children/drain", func(r *publisher.Request) error {
		r.Go(func() error {
			see("child waits")
			err := r.Sleep(300 * time.Millisecond)
			see("child ended")
			return err
		})
		return r.Text(200, "whole")
	})
	publisher.Consume("e2e-children", publisher.Consumer{Timeout: time.Minute}, func(r *publisher.Request) error { return askAll(r, "message") })
}

func TestChildrenAskAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, at broker) {
		threeBackends["/children"], threeBackends["message"] = &together{all: make(chan struct{})}, &together{all: make(chan struct{})}
		s := start(t, at)
		if status, body := s.get("/children"); status != 200 || body != "3" {
			t.Errorf("%d %s", status, body)
		}
		before := saw("message")
		s.publish(s.channel(), "e2e-children", amqp.Publishing{})
		wait.Until(t, "the message's children have ended", func() bool { return saw("message") > before })
	})
}

func TestChildrenEndWithTheirCall(t *testing.T) {
	s := start(t, embedded)
	if status, _ := s.get("/children/panic"); status != 500 || !s.failedWith("a function given to Go panicked: a child at the disco") {
		t.Errorf("a panic: %d", status)
	}
	if status, body := s.get("/children/limit"); status != 503 || !strings.Contains(body, "took too long") {
		t.Errorf("the limit of the route: %d %s", status, body)
	}
	answer := make(chan string, 1)
	go func() {
		status, body := s.get("/children/drain")
		answer <- fmt.Sprint(status, body)
	}()
	wait.Until(t, "the child waits", func() bool { return saw("child waits") > 0 })
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "200whole" || saw("child ended") != 1 {
		t.Errorf("the drain: %s, %d children ended", got, saw("child ended"))
	}
}
