package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"zamqp/publisher"
)

// records are what the consumers of options_test and failures_test saw, in order.
var records = struct {
	sync.Mutex
	of map[string][]string
}{of: map[string][]string{}}

func recordAs(name, text string) {
	records.Lock()
	defer records.Unlock()
	records.of[name] = append(records.of[name], text)
}

// recorded returns the records of a consumer that contain key.
func recorded(name, key string) (found []string) {
	records.Lock()
	defer records.Unlock()
	for _, text := range records.of[name] {
		if strings.Contains(text, key) {
			found = append(found, text)
		}
	}
	return found
}

// record keeps path, attempt and body. Of the body's words, "fail" fails each time, "once"
// the first time, "slow" waits, "never" is a permanent failure.
func record(name string) publisher.Handler {
	return func(r *publisher.Request) error {
		body := string(r.Body())
		recordAs(name, fmt.Sprintf("%s #%d %s", r.Path(), r.Attempt(), body))
		switch {
		case strings.Contains(body, "fail"), strings.Contains(body, "once") && r.Attempt() == 1:
			return errors.New("on purpose: " + strings.Repeat("x", 2000))
		case strings.Contains(body, "never"):
			return publisher.Permanent(errors.New("a permanent failure"))
		case strings.Contains(body, "slow"):
			return r.Sleep(20 * time.Millisecond)
		}
		return nil
	}
}

// quick is a retry that tests need not wait for.
var quick = publisher.Retry{Attempts: 3, Min: 20 * time.Millisecond, Max: 40 * time.Millisecond}

func init() {
	for name, c := range map[string]publisher.Consumer{
		"e2e-retry":     {Exchange: "e2e-x", ExchangeType: "topic", RoutingKeys: []string{"retry.*"}},
		"e2e-quorum":    {QueueType: publisher.QueueQuorum},
		"e2e-place":     {Retry: publisher.Retry{Attempts: 3, Min: 20 * time.Millisecond, InPlace: true}},
		"e2e-exclusive": {Exclusive: true, Exchange: "e2e-x", ExchangeType: "topic", RoutingKeys: []string{"exclusive"}, DeadLetter: "e2e-graves"},
		"e2e-off":       {DeadLetter: "off"},
		"e2e-own-dlx":   {Arguments: publisher.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "e2e-graves"}},
		"e2e-auto-ack":  {AutoAck: true},
		"e2e-no-ack":    {NoAck: true},
		"e2e-lane":      {Lane: "header:key"},
		"e2e-rate":      {Rate: 200, Burst: 2},
		"e2e-pause":     {},
		"e2e-single":    {SingleActive: true},
		"e2e-alone":     {ExclusiveConsumer: true, Priority: 5},
		"e2e-stream":    {QueueType: publisher.QueueStream, StreamOffset: "first", Prefetch: 10},
		"e2e-headers": {Exchange: "e2e-h", ExchangeType: "headers", ExchangeTransient: true, ExchangeAutoDelete: true,
			ExchangeArguments: publisher.Table{"alternate-exchange": "amq.fanout"}, BindingArguments: publisher.Table{"x-match": "all", "kind": "pdf"}},
		"e2e-marked": {Marker: "e2e-marker"},
		"e2e-only":   {DeclareOnly: true, Arguments: publisher.Table{"x-max-length": int32(100)}},
		"e2e-poison": {},
	} {
		if c.Retry.Attempts == 0 {
			c.Retry = quick
		}
		handler := record(name)
		switch name {
		case "e2e-marked":
			handler = nil
		case "e2e-poison":
			handler = poison
		}
		publisher.Consume(name, c, handler)
	}
	publisher.Subscribe("e2e-marker", record("e2e-marked"))
	publisher.Subscribe("e2e-marker", record("e2e-marked"))
	publisher.Produce("e2e-survivors", publisher.Producer{Queue: "e2e-survivors", Codec: "text"})
	publisher.Produce("e2e-props", publisher.Producer{Queue: "e2e-props", Codec: "text", Expiration: time.Minute, Priority: 3, ReplyTo: "replies",
		AppID: "e2e", UserID: "guest", Timestamp: true, Gzip: true, QueueArguments: publisher.Table{"x-max-priority": int32(5)}})
	publisher.Produce("e2e-ask", publisher.Producer{Exchange: "e2e-rpc", ExchangeType: "fanout", Codec: "text"})
	publisher.Produce("e2e-nobody", publisher.Producer{Codec: "text", RoutingKey: "e2e-no-such-queue"})
	publisher.Handle("GET /ask/{producer}", func(r *publisher.Request) error {
		limit := 30 * time.Second
		if r.Query().Has("hurry") {
			limit = time.Second
		}
		a, err := r.Call(r.PathValue("producer"), r.Query().Get("q"), publisher.Timeout(limit))
		if err != nil {
			return err
		}
		var v map[string]string
		if err := a.Decode(&v); err != nil {
			return err
		}
		return r.Text(200, v["answer"])
	})
	publisher.Handle("GET /len/{queue}", func(r *publisher.Request) error {
		n, err := r.Queue(r.PathValue("queue")).Len()
		if err != nil {
			return err
		}
		return r.Reply(200, n)
	})
	publisher.Handle("POST /get/{queue}", func(r *publisher.Request) error {
		d, err := r.Queue(r.PathValue("queue")).Get()
		switch {
		case err != nil:
			return err
		case d == nil:
			return publisher.Errorf(404, "empty")
		case r.Query().Get("fail") != "":
			return errors.New("on purpose")
		}
		return r.Text(200, string(d.Body))
	})
	publisher.Handle("POST /pause/{name}", func(r *publisher.Request) error { return r.Pause(r.PathValue("name")) })
	publisher.Handle("POST /resume/{name}", func(r *publisher.Request) error { return r.Resume(r.PathValue("name")) })
}

// childEnv is set in the processes that poison may end.
const childEnv = "E2E_CHILD_AMQP_URL"

// poison ends the process by a message, as running out of memory does.
func poison(r *publisher.Request) error {
	body := string(r.Body())
	if strings.Contains(body, "poison") {
		if os.Getenv(childEnv) == "" {
			return publisher.Permanent(errors.New("not in a process that may die"))
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return r.Publish("e2e-survivors", body)
}
