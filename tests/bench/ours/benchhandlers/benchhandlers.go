// Package benchhandlers does in zamqp what the AMQP peers do in their main
// functions: it reads messages of a queue, and publishes bursts.
package benchhandlers

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"zamqp/publisher"
	"zamqp/tests/bench/peers/report"
)

const queue = "bench" // the bench declares and fills it

func init() {
	publisher.Produce("bench", publisher.Producer{RoutingKey: queue, Transient: true, NoDeclare: true})
	publisher.Handle("POST /burst", burst)
	publisher.Handle("GET /compute", compute)
	publisher.Handle("GET /large", large)
	publisher.WebSocket("GET /echo", echo)
	publisher.AddTopic("bench", publisher.Topic{})
	publisher.Handle("GET /events", publisher.Follow("bench"))
	publisher.Handle("POST /events", func(r *publisher.Request) error {
		return r.Broadcast("bench", publisher.Event{Data: string(r.Body())})
	})
	if dir := os.Getenv("BENCH_FILES"); dir != "" {
		publisher.Handle("GET /files/{path...}", publisher.Files(os.DirFS(dir)))
	}
	// The publish workload must not consume what it publishes.
	if os.Getenv("BENCH_CONSUME") == "" {
		return
	}
	t := &tally{count: number("BENCH_COUNT"), warm: number("BENCH_WARM")}
	publisher.Consume("bench", publisher.Consumer{Queue: queue, Prefetch: 1000, NoDeclare: true, DeadLetter: "off"}, t.handle)
}

func echo(ws *publisher.Socket) error {
	for {
		kind, p, err := ws.Read()
		if err != nil {
			return err
		}
		if err := ws.Write(kind, p); err != nil {
			return err
		}
	}
}

// number is a setting that the bench always gives.
func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	return n
}

// tally counts on the loop's thread, like all handlers.
type tally struct {
	count, warm int // expected messages
	seen, bytes int
}

var errProperties = errors.New("a message without its properties")

func (t *tally) handle(r *publisher.Request) error {
	if string(r.ContentType()) != "application/octet-stream" || r.Header("Correlation-Id") == "" ||
		r.Header("x-source") != "bench" || r.Header("x-attempt") != "1" {
		return publisher.Permanent(errProperties)
	}
	t.seen++
	t.bytes += len(r.Body())
	switch t.seen {
	case t.warm:
		report.First()
	case t.warm + t.count:
		report.Done(t.count, t.bytes)
	}
	return nil
}

var (
	body    = make([]byte, 256)
	headers = publisher.Table{"x-source": "bench", "x-attempt": int32(1)}
)

// burst publishes n messages in one transaction. The answer follows the last
// confirm.
func burst(r *publisher.Request) error {
	n, err := strconv.Atoi(r.Query().Get("n"))
	if err != nil || n < 1 || n > 10000 {
		return r.Text(400, "n is the number of messages, 1 to 10000\n")
	}
	for range n {
		err := r.Publish("bench", body, publisher.ContentType("application/octet-stream"),
			publisher.CorrelationID("0123456789abcdef0123456789abcdef"), publisher.Headers(headers))
		if err != nil {
			return err
		}
	}
	return r.Text(200, "confirmed\n")
}

// large streams a large answer.
func large(r *publisher.Request) error {
	return r.Stream(200, "application/octet-stream", -1, func(w *publisher.Stream) error {
		for range report.LargePieces {
			if _, err := w.Write(report.LargePiece); err != nil {
				return err
			}
		}
		return nil
	})
}

// compute offloads work that takes a processor for some time.
func compute(r *publisher.Request) error {
	var sum uint64
	if err := r.Offload(func() error { sum = report.Compute(); return nil }); err != nil {
		return err
	}
	return r.Text(200, strconv.FormatUint(sum, 10))
}
