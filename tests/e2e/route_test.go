package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

func init() {
	quick := publisher.Retry{Attempts: 3, Min: time.Millisecond}
	publisher.Handle("POST /route/own/{id}", routeOwn)
	publisher.Handle("POST /route/net/{id}", publisher.HTTP(http.HandlerFunc(routeNet)))
	publisher.Consume("e2e-route-own", publisher.Consumer{Route: "POST /route/own/{message_id}", Retry: quick}, nil)
	publisher.Consume("e2e-route-net", publisher.Consumer{Route: "POST /route/net/{message_id}", Retry: quick}, nil)
}

// routeOwn answers with what it sees, and with the status that the body asks for.
func routeOwn(r *publisher.Request) error {
	see("route own " + r.PathValue("id"))
	_ = r.Publish("e2e-done", r.PathValue("id"))
	return r.Text(routeStatus(string(r.Body())), fmt.Sprintf("%s %s %q %q %s", r.Method(), r.Path(), r.Header("Authorization"), r.Header("Idempotency-Key"), r.Body()))
}

func routeNet(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	see("route net " + r.PathValue("id"))
	_ = publisher.FromContext(r.Context()).Publish("e2e-done", r.PathValue("id"))
	w.WriteHeader(routeStatus(string(body)))
	fmt.Fprintf(w, "%s %s %q %q %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), body)
}

func routeStatus(body string) (status int) {
	_, _ = fmt.Sscan(body, &status)
	return status
}

func TestMessagesThroughRoutes(t *testing.T) { everywhere(t, messagesThroughRoutes) }

func messagesThroughRoutes(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-done", false); err != nil { // of other tests' work
		t.Fatal(err)
	}
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, handler := range []string{"own", "net"} {
		for _, row := range []struct {
			status, runs int
			dead         bool
		}{{200, 1, false}, {422, 1, true}, {302, 1, true}, {503, 3, true}, {429, 3, true}} {
			id := fmt.Sprintf("%s-%d", unique(t), row.status)
			body := fmt.Sprint(row.status)
			queue := "e2e-route-" + handler
			if err := ch.Publish("", queue, false, false, amqp.Publishing{MessageId: id, Body: []byte(body), ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: id,
				Headers: amqp.Table{"Authorization": "Basic eDp5", "Idempotency-Key": "k"}}); err != nil {
				t.Fatal(err)
			}
			reply := <-replies
			want := fmt.Sprintf("POST /route/%s/%s \"\" \"k\" %d", handler, id, row.status)
			if row.status == 302 {
				want = "Internal Server Error"
			}
			if reply.CorrelationId != id || strings.TrimSpace(string(reply.Body)) != want {
				t.Errorf("%s %d: reply %q %+v", handler, row.status, reply.Body, reply.Headers)
			}
			if status, _ := reply.Headers["x-status"].(int32); row.status >= 400 && int(status) != row.status {
				t.Errorf("%s %d: x-status %d", handler, row.status, status)
			}
			if row.dead {
				if d := s.take(ch, queue+".dead"); d.MessageId != id {
					t.Errorf("%s %d: dead is %+v", handler, row.status, d)
				}
			} else if d := s.take(ch, "e2e-done"); string(d.Body) != `"`+id+`"` {
				t.Errorf("%s %d: published %s", handler, row.status, d.Body)
			}
			wait.Until(t, "its attempts", func() bool { return saw("route "+handler+" "+id) >= row.runs })
			if n := saw("route " + handler + " " + id); n != row.runs {
				t.Errorf("%s %d: %d attempts, want %d", handler, row.status, n, row.runs)
			}
		}
	}
	if _, ok, err := ch.Get("e2e-done", true); ok || err != nil {
		t.Errorf("an aborted transaction has published: %v", err)
	}
	if status, body := s.do("POST", "/route/own/web", "", "201"); status != 201 || body != `POST /route/own/web "" "" 201` {
		t.Errorf("by HTTP: %d %s", status, body)
	}
}
