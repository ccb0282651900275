package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// mounted are handlers as people write them for net/http.
func init() {
	mux := http.NewServeMux()
	mux.Handle("/net/timeout/{ms}", http.TimeoutHandler(http.HandlerFunc(netSleep), 50*time.Millisecond, "too slow"))
	mux.HandleFunc("/net/context", func(w http.ResponseWriter, r *http.Request) {
		see("net: waits for the context")
		<-r.Context().Done()
		see("net: the context ended: " + context.Cause(r.Context()).Error())
	})
	mux.HandleFunc("/net/self/", netSelf)
	mux.HandleFunc("/net/pprof", pprof.Profile)
	mux.HandleFunc("/net/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	mux.HandleFunc("/net/abort", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/net/goexit", func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	mux.HandleFunc("/net/park", func(w http.ResponseWriter, r *http.Request) {
		see("net: parked")
		<-unpark
	})
	mux.HandleFunc("/net/late", netLate)
	mux.HandleFunc("/net/publish/{status}", netPublish)
	mux.HandleFunc("/net/stream", netStream)
	mux.HandleFunc("/net/hijack/{way}", netHijack)
	publisher.Handle("/net/", publisher.HTTP(mux))
	publisher.Produce("e2e-net", publisher.Producer{Queue: "e2e-net"})
	publisher.Consume("e2e-net-work", publisher.Consumer{Retry: publisher.Retry{Attempts: 1}}, publisher.HTTP(http.HandlerFunc(netMessage)))
}

// unpark lets the parked handlers go on.
var unpark = make(chan struct{})

func netSleep(w http.ResponseWriter, r *http.Request) {
	call := publisher.FromContext(r.Context())
	d, _ := time.ParseDuration(r.PathValue("ms") + "ms")
	err := call.Sleep(d)
	see(fmt.Sprint("net: slept: ", err))
	fmt.Fprint(w, "slept: ", err)
	if err != nil {
		see(fmt.Sprint("net: ", call.Publish("e2e-net", "late")))
	}
}

// netSelf asks the server that it runs in, as a proxy.
func netSelf(w http.ResponseWriter, r *http.Request) {
	to, _ := url.Parse("http://" + r.Host)
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/net/self")
	httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
}

// netLate leaves a goroutine that uses the call after its end.
func netLate(w http.ResponseWriter, r *http.Request) {
	call := publisher.FromContext(r.Context())
	go func() {
		<-r.Context().Done()
		for call.Publish("e2e-net", "late") == nil { // until the handler has returned, at the latest
		}
		_, err := w.Write([]byte("late"))
		see(fmt.Sprintf("net: late: %v, %v, %v, %s %s", call.Publish("e2e-net", "late"), call.Sleep(time.Hour), err, call.Method(), call.Path()))
	}()
	fmt.Fprint(w, "early")
}

// netPublish publishes from two goroutines and answers the status.
func netPublish(w http.ResponseWriter, r *http.Request) {
	call := publisher.FromContext(r.Context())
	key := r.URL.Query().Get("key")
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Add(1)
		go func() { defer wg.Done(); _ = call.Publish("e2e-net", fmt.Sprint(key, i)) }()
	}
	wg.Wait()
	if r.URL.Query().Has("commit") {
		publisher.Commit(call)
	}
	status := 0
	_, _ = fmt.Sscan(r.PathValue("status"), &status)
	http.Error(w, "answered", status)
}

// netStream flushes, and then publishes: too late.
func netStream(w http.ResponseWriter, r *http.Request) {
	call := publisher.FromContext(r.Context())
	if r.URL.Query().Has("held") {
		_ = call.Publish("e2e-net", "held")
	}
	_, _ = io.WriteString(w, "first ")
	_ = http.NewResponseController(w).Flush()
	see("net: flushed " + r.URL.Query().Get("key"))
	if r.URL.Query().Has("wait") {
		<-unpark
	}
	if r.URL.Query().Has("late") {
		see(fmt.Sprint("net: publish after flush: ", call.Publish("e2e-net", "late")))
	}
	n := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
	for range n {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			see("net: write: " + err.Error())
			return
		}
	}
	_, _ = io.WriteString(w, "last")
}

func netMessage(w http.ResponseWriter, r *http.Request) {
	status := 0
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Sscan(string(body), &status)
	if status == 301 {
		http.Redirect(w, r, "/elsewhere", status)
		return
	}
	w.WriteHeader(status)
}

func TestTimeoutHandlerAroundSleep(t *testing.T) {
	s := start(t, embedded)
	ended := saw("net: slept: " + publisher.ErrOver.Error())
	if status, body := s.get("/net/timeout/60000"); status != 503 || body != "too slow" {
		t.Errorf("%d %s", status, body)
	}
	wait.Until(t, "the wait ends with the handler", func() bool { return saw("net: slept: "+publisher.ErrOver.Error()) > ended })
	wait.Until(t, "nothing can be published after it", func() bool { return saw("net: publish e2e-net: "+publisher.ErrOver.Error()) > 0 })
	if status, body := s.get("/net/timeout/1"); status != 200 || body != "slept: <nil>" {
		t.Errorf("%d %s", status, body)
	}
}

func TestContextOfAMountedHandlerEndsWithItsClient(t *testing.T) {
	s := start(t, embedded)
	for i := range 3 {
		waits, gone := saw("net: waits for the context"), saw("net: the context ended: "+publisher.ErrGone.Error())
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /net/context HTTP/1.1\r\nHost: x\r\n\r\n")
		wait.Until(t, "the handler waits", func() bool { return saw("net: waits for the context") > waits })
		_ = conn.Close()
		wait.Until(t, "the context ends", func() bool { return saw("net: the context ended: "+publisher.ErrGone.Error()) > gone })
		if status, _ := s.get("/hello"); status == 0 {
			t.Errorf("%d: the server is gone", i)
		}
	}
}

func TestContextOfAMountedHandlerEndsAtTheTimeout(t *testing.T) {
	s := start(t, embedded, "server.call_timeout=50ms")
	if status, body := s.get("/net/context"); status != 200 || body != "" {
		t.Errorf("%d %s", status, body)
	}
	s.stop()
}

func TestContextOfAMountedHandlerEndsWithTheDrain(t *testing.T) {
	s := start(t, embedded, "server.drain_timeout=50ms")
	waits, cut := saw("net: waits for the context"), saw("net: the context ended: "+publisher.ErrShutdown.Error())
	go s.get("/net/context")
	wait.Until(t, "the handler waits", func() bool { return saw("net: waits for the context") > waits })
	_ = s.drain()
	wait.Until(t, "the context ends", func() bool { return saw("net: the context ended: "+publisher.ErrShutdown.Error()) > cut })
}

// TestMountedHandlersHoldNobodyUp: without its own goroutine, each of these would hold the
// loop for its time, or for ever.
func TestMountedHandlersHoldNobodyUp(t *testing.T) {
	s := start(t, embedded, "loop.stall_warning=off")
	if status, body := s.get("/net/self/offload"); status != 200 || body != "slept" {
		t.Errorf("a proxy to oneself: %d %s", status, body)
	}
	if status, body := s.get("/net/self/stream/-1"); status != 502 && !strings.HasPrefix(body, "cut: ") {
		t.Errorf("a proxy whose source breaks off: %d %.40s", status, body)
	}
	profiled := make(chan int, 1)
	go func() {
		status, _ := s.get("/net/pprof?seconds=1")
		profiled <- status
	}()
	asked := 0
	for status := 0; status == 0; asked++ {
		select {
		case status = <-profiled:
			if status != 200 {
				t.Errorf("profile: %d", status)
			}
		default:
			if status, _ := s.get("/livez"); status != 200 {
				t.Fatalf("beside a profile: %d", status)
			}
		}
	}
	if asked < 10 {
		t.Errorf("%d requests beside a profile", asked)
	}
}

func TestMountedHandlersThatDoNotReturn(t *testing.T) {
	s := start(t, embedded)
	for range 3 {
		if status, body := s.get("/net/panic"); status != 500 || body != "Internal Server Error\n" {
			t.Errorf("panic: %d %q", status, body)
		}
		if status, _ := s.get("/net/goexit"); status != 500 {
			t.Errorf("goexit: %d", status)
		}
		if status, body := s.get("/net/abort"); status != 200 || !strings.HasPrefix(body, "cut: ") {
			t.Errorf("abort: %d %q", status, body)
		}
	}
	if !s.failedWith("on purpose") || !s.failedWith("runtime.Goexit") {
		t.Error("nothing logged")
	}
}

func TestLateGoroutineOfAMountedHandler(t *testing.T) {
	s := start(t, embedded)
	if status, body := s.get("/net/late"); status != 200 || body != "early" {
		t.Errorf("%d %s", status, body)
	}
	want := fmt.Sprintf("net: late: publish e2e-net: %v, sleep: %v, %v, GET /net/late", publisher.ErrOver, publisher.ErrOver, publisher.ErrOver)
	wait.Until(t, want, func() bool { return saw(want) > 0 })
}

func TestManyParkedHandlers(t *testing.T) {
	n := 1000
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		n = 10000
	}
	var limit syscall.Rlimit // of both ends of each connection
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n = min(n, int(limit.Cur)/4) // the server keeps a share of them for files and dials
	s := start(t, embedded, "server.calls_max=20000")
	before := saw("net: parked")
	conns := make([]net.Conn, 0, n)
	for len(conns) < n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatalf("%d connections: %v", len(conns), err)
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(conn, "GET /net/park HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, conn)
	}
	wait.Until(t, "all are parked", func() bool { return saw("net: parked") == before+len(conns) })
	if status, _ := s.get("/livez"); status != 200 {
		t.Errorf("%d beside them", status)
	}
	for range conns {
		unpark <- struct{}{}
	}
	for _, conn := range conns {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
}

// TestAnswerOfAMountedHandlerDecidesItsTransaction: a refusal has published nothing.
func TestAnswerOfAMountedHandlerDecidesItsTransaction(t *testing.T) { everywhere(t, answerDecides) }

func answerDecides(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-net", false); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		path   string
		status int
		sent   bool
	}{
		{"200?key=a", 200, true}, {"302?key=b", 302, true}, {"404?key=c", 404, false}, {"404?key=d&commit", 404, true},
		{"500?key=e", 500, false}, {"503?key=f&commit", 503, false},
	} {
		if status, body := s.get("/net/publish/" + row.path); status != row.status || body != "answered\n" {
			t.Errorf("%s: %d %q", row.path, status, body)
		}
		n := 0
		for {
			d, ok, err := ch.Get("e2e-net", true)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if !strings.Contains(string(d.Body), row.path[8:9]) {
				t.Errorf("%s: %s", row.path, d.Body)
			}
			n++
		}
		if row.sent != (n == 2) || !row.sent && n != 0 {
			t.Errorf("%s: %d published", row.path, n)
		}
	}
}

func TestFlushedAnswerOfAMountedHandler(t *testing.T) {
	s := start(t, embedded)
	key := unique(t)
	resp, err := http.Get(s.url + "/net/stream?wait&key=" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first " { // the handler still waits
		t.Fatalf("%q %v", first, err)
	}
	unpark <- struct{}{}
	if rest, err := io.ReadAll(resp.Body); string(rest) != "last" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	want := saw("net: publish after flush: publish e2e-net: " + publisher.ErrSent.Error())
	if status, body := s.get("/net/stream?late"); status != 200 || !strings.HasPrefix(body, "cut: ") {
		t.Errorf("%d %q", status, body)
	}
	if saw("net: publish after flush: publish e2e-net: "+publisher.ErrSent.Error()) != want+1 || !s.failedWith(publisher.ErrSent.Error()) {
		t.Error("not refused, or not logged")
	}
	// What is published holds the answer, up to a bound.
	if status, body := s.get("/net/stream?held&n=2"); status != 200 || len(body) != 2<<16+len("first last") {
		t.Errorf("%d %d octets", status, len(body))
	}
	if status, _ := s.get("/net/stream?held&n=200"); status != 500 || !s.failedWith("must be held until the commit") {
		t.Errorf("over the bound: %d", status)
	}
	if status, body := s.get("/net/stream?n=400"); status != 200 || len(body) != 400<<16+len("first last") {
		t.Errorf("%d %d octets", status, len(body))
	}
}

// TestFlushedAnswerWaitsForItsClient: a client that takes nothing parks the
// handler; one that leaves ends it.
func TestFlushedAnswerWaitsForItsClient(t *testing.T) {
	s := start(t, embedded)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	gone := saw("net: write: " + publisher.ErrGone.Error())
	fmt.Fprintf(conn, "GET /net/stream?n=1000000 HTTP/1.1\r\nHost: x\r\n\r\n") // 64 GB, if it were collected
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.get("/livez"); status != 200 {
		t.Error(status)
	}
	_ = conn.Close()
	wait.Until(t, "the handler's Write fails", func() bool { return saw("net: write: "+publisher.ErrGone.Error()) > gone })
}

// TestStatusOfAMountedConsumer: a status that is not a success has not handled the message.
func TestStatusOfAMountedConsumer(t *testing.T) { everywhere(t, statusOfAMountedConsumer) }

func statusOfAMountedConsumer(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	for _, body := range []string{"103", "301", "304", "404", "500", "999"} {
		s.publish(ch, "e2e-net-work", amqpText(body))
		if d := s.take(ch, "e2e-net-work.dead"); string(d.Body) != body {
			t.Errorf("%s: %s", body, d.Body)
		}
	}
	s.publish(ch, "e2e-net-work", amqpText("204"))
	wait.Until(t, "a success is acked", func() bool {
		q, err := ch.QueueDeclarePassive("e2e-net-work", true, false, false, false, nil)
		return err == nil && q.Messages == 0
	})
}

func amqpText(body string) amqp.Publishing {
	return amqp.Publishing{ContentType: "text/plain", Body: []byte(body)}
}
