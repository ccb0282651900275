// Package decode decodes what other people's clients send.
package decode

import (
	"encoding/json"
	"fmt"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("GET /decoded", list)
	publisher.Consume("decoded", publisher.Consumer{Codec: "json"}, message)
	publisher.Consume("celery", publisher.Consumer{}, task)
}

// decoded has the decoded messages, as JSON. All calls run on one thread.
var decoded []any

func list(r *publisher.Request) error { return r.Reply(200, decoded) }

// message replies with what it has decoded.
func message(r *publisher.Request) error {
	var v any
	if err := r.Decode(&v); err != nil {
		return err
	}
	decoded = append(decoded, v)
	return r.Reply(200, v)
}

// task does the work of a Celery task, and answers in the form of its result backend rpc://.
func task(r *publisher.Request) error {
	var args []float64
	var kwargs map[string]float64
	if err := r.Decode(&[]any{&args, &kwargs}); err != nil {
		return err
	}
	if r.Header("task") != "shop.add" {
		return publisher.Permanent(fmt.Errorf("no task %q here", r.Header("task")))
	}
	sum := kwargs["more"]
	for _, n := range args {
		sum += n
	}
	decoded = append(decoded, map[string]any{"from": "celery", "sum": json.Number(fmt.Sprint(sum))})
	return r.Reply(200, map[string]any{"task_id": r.Header("id"), "status": "SUCCESS", "result": sum, "traceback": nil, "children": []any{}})
}
