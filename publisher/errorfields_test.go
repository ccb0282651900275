package publisher_test

import (
	"fmt"
	"testing"

	"zamqp/publisher"
)

// TestErrorReplyKeepsItsHeaders: a caller that waits for the reply to a message gets the
// headers of the failure, and none of those about the body that is not sent.
func TestErrorReplyKeepsItsHeaders(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		r.SetHeader("x-request-id", "17")
		r.SetHeader("etag", "e")
		r.SetHeader("Retry-After", "1")
		return publisher.Errorf(400, "no").With("retry-after", "5")
	})
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{ReplyTo: "q"})
	b.pending()
	want := publisher.Table{"x-request-id": "17", "retry-after": "5", publisher.StatusHeader: int32(400)}
	if got := b.sent[0].props.Headers; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

// TestWithLeavesTheErrorAsItWas: an error may be a package's variable.
func TestWithLeavesTheErrorAsItWas(t *testing.T) {
	b := newBench(t)
	busy := publisher.Errorf(503, "busy")
	one := busy.With("X-N", "1")
	two, three := one.With("X-M", "2"), one.With("X-M", "3")
	for path, err := range map[string]error{"/0": busy, "/1": one, "/2": two, "/3": fmt.Errorf("wrapped: %w", three)} {
		b.reg.Handle(path, func(*publisher.Request) error { return err })
	}
	b.start(publisher.Options{})
	for path, want := range map[string]string{
		"/0": "", "/1": "X-N: 1\r\n", "/2": "X-N: 1\r\nX-M: 2\r\n", "/3": "X-N: 1\r\nX-M: 3\r\n",
	} {
		b.request("GET", path, "", "")
		if lines := b.last().lines; lines != want {
			t.Errorf("%s: %q, want %q", path, lines, want)
		}
	}
}
