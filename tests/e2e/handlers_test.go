package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
)

// seen counts what handlers saw. They run on one thread, but on another than
// the tests.
var seen = struct {
	sync.Mutex
	count map[string]int
}{count: map[string]int{}}

func see(key string) int {
	seen.Lock()
	defer seen.Unlock()
	seen.count[key]++
	return seen.count[key]
}

func saw(key string) int {
	seen.Lock()
	defer seen.Unlock()
	return seen.count[key]
}

func init() {
	publisher.Produce("e2e-work", publisher.Producer{Exchange: "e2e", ExchangeType: "topic", RoutingKey: "work", Mandatory: true})
	publisher.Produce("e2e-done", publisher.Producer{Queue: "e2e-done"})
	publisher.Produce("e2e-missing", publisher.Producer{Exchange: "e2e-missing", NoDeclare: true})
	publisher.Consume("e2e-work", publisher.Consumer{Exchange: "e2e", RoutingKeys: []string{"work", "other.*"}}, work)
	publisher.Consume("e2e-flaky", publisher.Consumer{Retry: publisher.Retry{Attempts: 4, Min: time.Millisecond}}, flaky)
	publisher.Consume("e2e-rpc", publisher.Consumer{ServerNamed: true, Exchange: "e2e-rpc", ExchangeType: "fanout"}, rpc)
	publisher.Consume("e2e-declared", publisher.Consumer{DeadLetter: "off"}, nil)
	publisher.Handle("POST /work", func(r *publisher.Request) error {
		_ = r.Publish("e2e-work", string(r.Body()))
		return r.Reply(202, "accepted")
	})
	publisher.Handle("POST /publish/{producer}", func(r *publisher.Request) error {
		_ = r.Publish(r.PathValue("producer"), string(r.Body()), publisher.Key(r.Query().Get("key")))
		return r.Reply(202, "accepted")
	})
	publisher.Handle("GET /panic", func(*publisher.Request) error { panic("on purpose") })
	publisher.Handle("GET /offload", func(r *publisher.Request) error {
		return errors.Join(r.Offload(func() error { time.Sleep(20 * time.Millisecond); return nil }), r.Text(200, "slept"))
	})
	publisher.Handle("POST /outlive", func(r *publisher.Request) error {
		see("outliving")
		defer see("outlived")
		return r.Offload(func() error { time.Sleep(300 * time.Millisecond); return nil })
	})
	publisher.Handle("GET /sleep/{ms}", func(r *publisher.Request) error {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		see("sleeping")
		if err := r.Sleep(time.Duration(ms) * time.Millisecond); err != nil {
			see("woken: " + err.Error())
			return err
		}
		return r.Text(200, "rested")
	})
	publisher.Handle("GET /stall", func(r *publisher.Request) error { time.Sleep(300 * time.Millisecond); return r.Text(200, "held") })
	publisher.Handle("GET /stream/{n}", stream)
	publisher.Handle("GET /feed", feed)
	publisher.Handle("/mux/", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Remote", r.RemoteAddr)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, b)
	})))
}

// work is a step of a chain: what it publishes leaves only with its own ack.
func work(r *publisher.Request) error {
	var text string
	if err := r.Decode(&text); err != nil {
		return err
	}
	see("work " + text)
	if strings.HasPrefix(text, "fail") {
		_ = r.Publish("e2e-done", "never")
		return publisher.Permanent(errors.New("told to fail"))
	}
	return r.Publish("e2e-done", text)
}

// flaky fails as many times as the body says.
func flaky(r *publisher.Request) error {
	n := see("flaky " + string(r.MessageID()))
	if r.Attempt() != n {
		see("wrong attempt")
	}
	if fails, _ := strconv.Atoi(string(r.Body())); n <= fails {
		return errors.New("not yet")
	}
	return nil
}

func rpc(r *publisher.Request) error {
	if string(r.Body()) == "bad" {
		return publisher.Errorf(422, "bad question")
	}
	return r.Reply(200, map[string]string{"answer": strings.ToUpper(string(r.Body()))})
}

// feed has no end of its own.
func feed(r *publisher.Request) error {
	return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
		_, _ = io.WriteString(w, "first.")
		see("feeding")
		err := r.Sleep(time.Hour)
		if errors.Is(err, publisher.ErrDraining) {
			_, err = io.WriteString(w, "bye.")
		}
		return err
	})
}

// stream writes n KiB; a negative n breaks off in the middle.
func stream(r *publisher.Request) error {
	n, _ := strconv.Atoi(r.PathValue("n"))
	piece := strings.Repeat("x", 1024)
	return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
		for i := 0; i < n || n < 0; i++ {
			if _, err := io.WriteString(w, piece); err != nil {
				see("stream: " + err.Error())
				return err
			}
			if n < 0 && i == 10 {
				return errors.New("broken off")
			}
		}
		return nil
	})
}
