package e2e_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

func TestChainOfPublishes(t *testing.T) { everywhere(t, chainOfPublishes) }

func chainOfPublishes(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-done", false); err != nil { // of other tests' work
		t.Fatal(err)
	}
	key := unique(t)
	if status, body := s.do("POST", "/work", "", key); status != 202 || body != "accepted" {
		t.Fatalf("%d %s", status, body)
	}
	if d := s.take(ch, "e2e-done"); string(d.Body) != `"`+key+`"` || d.DeliveryMode != 2 || d.ContentType != "application/json" {
		t.Errorf("%+v", d)
	}
	if n := saw("work " + key); n != 1 {
		t.Errorf("handled %d times", n)
	}
}

func TestPermanentFailureGoesToTheDeadLetterQueue(t *testing.T) {
	everywhere(t, permanentFailureGoesToTheDeadLetterQueue)
}

func permanentFailureGoesToTheDeadLetterQueue(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-done", false); err != nil { // of other tests' work
		t.Fatal(err)
	}
	key := "fail " + unique(t)
	if status, body := s.do("POST", "/work", "", key); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	if d := s.take(ch, "e2e-work.dead"); string(d.Body) != `"`+key+`"` {
		t.Errorf("%+v", d)
	}
	s.publish(ch, "e2e-work", amqp.Publishing{ContentType: "application/json", Body: []byte("{broken")})
	if d := s.take(ch, "e2e-work.dead"); string(d.Body) != "{broken" {
		t.Errorf("%+v", d)
	}
	s.publish(ch, "e2e-work", amqp.Publishing{ContentType: "image/png", Body: []byte("PNG")})
	if d := s.take(ch, "e2e-work.dead"); string(d.Body) != "PNG" {
		t.Errorf("%+v", d)
	}
	if _, ok, err := ch.Get("e2e-done", true); ok || err != nil {
		t.Errorf("an aborted transaction has published: %v", err)
	}
}

func TestFailureThatPassesIsTriedAgain(t *testing.T) { everywhere(t, failureThatPassesIsTriedAgain) }

func failureThatPassesIsTriedAgain(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	id := unique(t)
	s.publish(ch, "e2e-flaky", amqp.Publishing{MessageId: id, Body: []byte("2")})
	s.publish(ch, "e2e-flaky", amqp.Publishing{MessageId: id + "x", Body: []byte("99")})
	if d := s.take(ch, "e2e-flaky.dead"); d.MessageId != id+"x" {
		t.Errorf("%+v", d)
	}
	wait.Until(t, "the third attempt", func() bool { return saw("flaky "+id) == 3 })
	if saw("flaky "+id+"x") != 4 || saw("wrong attempt") != 0 {
		t.Errorf("%d attempts, %d counted wrong", saw("flaky "+id+"x"), saw("wrong attempt"))
	}
}

func TestRPCByAServerNamedQueue(t *testing.T) { everywhere(t, rpcByAServerNamedQueue) }

func rpcByAServerNamedQueue(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		body, want string
		status     any
	}{{"question", `{"answer":"QUESTION"}`, nil}, {"bad", "bad question", int32(422)}} {
		if err := ch.Publish("e2e-rpc", "", false, false, amqp.Publishing{
			ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: row.body, Body: []byte(row.body)}); err != nil {
			t.Fatal(err)
		}
		if d := <-replies; string(d.Body) != row.want || d.CorrelationId != row.body || d.Headers["x-status"] != row.status {
			t.Errorf("%+v", d)
		}
	}
}

func TestDeclaredOnly(t *testing.T) { everywhere(t, declaredOnly) }

func declaredOnly(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	s.publish(ch, "e2e-declared", amqp.Publishing{Body: []byte("kept")})
	if d := s.take(ch, "e2e-declared"); string(d.Body) != "kept" {
		t.Errorf("%+v", d)
	}
}

func TestFailedPublishesAre503(t *testing.T) { everywhere(t, failedPublishesAre503) }

func failedPublishesAre503(t *testing.T, at broker) {
	s := start(t, at)
	for _, row := range []struct{ path, want string }{
		{"/publish/e2e-work?key=nobody.listens", "NO_ROUTE"},
		{"/publish/e2e-missing?key=k", "e2e-missing"},
	} {
		if status, body := s.do("POST", row.path, "", "x"); status != 503 || body != "Service Unavailable\n" || !s.failedWith(row.want) {
			t.Errorf("%s: %d %s", row.path, status, body)
		}
		if status, body := s.do("POST", "/work", "", unique(t)); status != 202 {
			t.Errorf("the next one: %d %s", status, body)
		}
	}
	if status, _ := s.do("POST", "/publish/nobody", "", "x"); status != 500 {
		t.Errorf("unknown producer: %d", status)
	}
}

func TestHTTPSide(t *testing.T) {
	s := start(t, atRabbitMQ)
	for _, row := range []struct {
		method, path, want string
		status             int
	}{
		{"GET", "/offload", "slept", 200},
		{"GET", "/sleep/10", "rested", 200},
		{"GET", "/panic", "Internal Server Error\n", 500},
		{"GET", "/nowhere", "404 page not found\n", 404},
		{"PUT", "/work", "Method Not Allowed\n", 405},
		{"PUT", "/mux/a%20b?x=1", "PUT /mux/a b body", 200},
		{"GET", "/mux", "GET /mux/ ", 200}, // redirected by 307
		{"GET", "/stream/0", "", 200},
	} {
		body := ""
		if row.method == "PUT" {
			body = "body"
		}
		if status, got := s.do(row.method, row.path, "text/plain", body); status != row.status || got != row.want {
			t.Errorf("%s %s: %d %q", row.method, row.path, status, got)
		}
	}
	if status, body := s.get("/stream/4096"); status != 200 || len(body) != 4096*1024 {
		t.Errorf("stream: %d, %d octets", status, len(body))
	}
	if status, body := s.get("/stream/-1"); status != 0 && !strings.HasPrefix(body, "cut: ") {
		t.Errorf("a broken stream looks whole: %d octets", len(body))
	}
}

func TestStalledHandlerIsNamed(t *testing.T) {
	s := start(t, atRabbitMQ)
	// The watchdog's thread must get a processor in time: on a busy machine a stall may be
	// over before it has looked twice.
	wait.Until(t, "the watchdog speaks", func() bool {
		s.get("/stall")
		log := s.log.String()
		return strings.Contains(log, "GET /stall") && strings.Contains(log, "handlers_test.go")
	})
}

func TestSlowStreamReaderParksOnlyItself(t *testing.T) {
	s := start(t, atRabbitMQ)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /stream/200000 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if status, _ := s.get("/livez"); status != 200 {
			t.Fatal("others are held up")
		}
	}
	_ = conn.Close()
	wait.Until(t, "the stream ends", func() bool { return saw("stream: the client has gone") > 0 })
}

func TestGoneClientEndsWaits(t *testing.T) {
	s := start(t, atRabbitMQ)
	before := saw("sleeping")
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/sleep/600000", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		gone <- err
	}()
	wait.Until(t, "the call runs", func() bool { return saw("sleeping") > before })
	cancel()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
	wait.Until(t, "the sleep ends", func() bool { return saw("woken: the client has gone") > 0 })
}

func TestCallTimeout(t *testing.T) {
	s := start(t, atRabbitMQ, "server.call_timeout=50ms")
	if status, body := s.get("/sleep/600000"); status != 503 || !strings.Contains(body, "took too long") {
		t.Errorf("%d %s", status, body)
	}
}

func TestDrainFinishesCalls(t *testing.T) { everywhere(t, drainFinishesCalls) }

func drainFinishesCalls(t *testing.T, at broker) {
	s := start(t, at)
	before := saw("sleeping")
	answer := make(chan string, 1)
	go func() {
		_, body := s.get("/sleep/300")
		answer <- body
	}()
	wait.Until(t, "the call runs", func() bool { return saw("sleeping") > before })
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "rested" {
		t.Errorf("the call in hand got %q", got)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		t.Error("it listens still")
	}
}

// TestDrainFinishesCallsWhoseClientsHaveGone: the drain also finishes a call that began
// within it and whose connection was the last.
func TestDrainFinishesCallsWhoseClientsHaveGone(t *testing.T) {
	s := startUnready(t, "amqp://guest:guest@127.0.0.1:1/")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write([]byte("POST /outlive HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"))
	if n, err := conn.Read(make([]byte, 100)); err != nil || n == 0 {
		t.Fatal(err)
	}
	before := saw("outliving")
	s.stop()
	wait.Until(t, "the drain has begun", func() bool { return strings.Contains(s.log.String(), "draining") })
	_, _ = conn.Write([]byte("ab"))
	wait.Until(t, "the call runs", func() bool { return saw("outliving") > before })
	_ = conn.(*net.TCPConn).SetLinger(0) // a reset: after an orderly end the answer is still sent
	_ = conn.Close()
	if err := s.drain(); err != nil || saw("outlived") != before+1 {
		t.Errorf("%v, %d calls ended", err, saw("outlived")-before)
	}
}

func TestDrainIsCutShort(t *testing.T) { everywhere(t, drainIsCutShort) }

func drainIsCutShort(t *testing.T, at broker) {
	s := start(t, at, "server.drain_timeout=50ms")
	before := saw("sleeping")
	answer := make(chan int, 1)
	go func() {
		status, _ := s.get("/sleep/600000")
		answer <- status
	}()
	wait.Until(t, "the call runs", func() bool { return saw("sleeping") > before })
	if err := s.drain(); err == nil || !strings.Contains(err.Error(), "server.drain_timeout") {
		t.Errorf("%v", err)
	}
	if status := <-answer; status != 503 {
		t.Errorf("the call that was cut off got %d", status)
	}
}

func TestServesWithoutABroker(t *testing.T) {
	s := startUnready(t, "amqp://guest:guest@127.0.0.1:1/", "connection.default.confirm_timeout=100ms")
	if status, _ := s.get("/livez"); status != 200 {
		t.Errorf("livez: %d", status)
	}
	wait.Until(t, "readyz tells what is wrong", func() bool { // once it has been tried
		status, body := s.get("/readyz")
		return status == 503 && strings.Contains(body, "127.0.0.1:1")
	})
	if status, body := s.do("POST", "/work", "", "x"); status != 503 || strings.Contains(body, "127.0.0.1") || !s.failedWith("no confirm in time") {
		t.Errorf("publish: %d %s", status, body)
	}
}

func TestBrokerDiesAndComesBack(t *testing.T) {
	node := rabbitmq.New(t)
	// After a kill RabbitMQ 3.10 takes minutes, or for ever, until streams and quorum
	// queues answer again.
	s := startUnready(t, node.URL, "consumer.e2e-stream.enabled=false", "consumer.e2e-quorum.enabled=false", "consumer.e2e-held-quorum.enabled=false")
	ready := func() bool { status, _ := s.get("/readyz"); return status == 200 }
	wait.Until(t, "ready", ready)
	key := unique(t)
	if status, body := s.do("POST", "/work", "", key+"1"); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	node.Kill(t)
	wait.Until(t, "not ready", func() bool { return !ready() })
	node.Restart(t)
	wait.Until(t, "ready again", ready)
	if status, body := s.do("POST", "/work", "", key+"2"); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	wait.Until(t, "both handled", func() bool { return saw("work "+key+"1") >= 1 && saw("work "+key+"2") >= 1 })
}
