package hello_test

import (
	"reflect"
	"testing"

	_ "zamqp/handlers/hello"
	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func TestHello(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	got := s.Request("GET", "/hello", "", "")
	if got.Status != 200 || got.Body != "Hello, World!" || got.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("%+v", got)
	}
}

func TestEcho(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	headers := publisher.Table{"from": "Alice", "n": int32(1)}
	got := s.Deliver("hello", publisher.Publishing{
		ReplyTo: "replies", CorrelationId: "1", ContentType: "text/plain", Headers: headers, Body: []byte("Hello, Bob!"),
	})
	if got.Settlement != publisher.SettleAck || got.Reply == nil {
		t.Fatalf("%+v", got)
	}
	if r := got.Reply; string(r.Body) != "Hello, Bob!" || r.CorrelationId != "1" || r.ContentType != "text/plain" || !reflect.DeepEqual(r.Headers, headers) {
		t.Errorf("%+v", r)
	}
	if got := s.Deliver("hello", publisher.Publishing{Body: []byte("no reply wanted")}); got.Settlement != publisher.SettleAck || got.Reply != nil {
		t.Errorf("%+v", got)
	}
}
