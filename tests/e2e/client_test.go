package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

// backendURL are the servers that handlers ask, by the value of the query's "at".
var backendURL sync.Map

func init() {
	ask := func(r *publisher.Request) error {
		url, _ := backendURL.Load(r.Query().Get("at"))
		resp, err := r.Client().Get(url.(string))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		return r.Bytes(resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	publisher.Handle("GET /ask", ask)
	publisher.Handle("GET /ask/limit", ask, publisher.RouteTimeout(50*time.Millisecond))
	publisher.Handle("GET /ask/three", func(r *publisher.Request) error {
		url, _ := backendURL.Load("three")
		for range 3 {
			r.Go(func() error {
				resp, err := r.Client().Get(url.(string))
				if err == nil {
					err = resp.Body.Close()
				}
				return err
			})
		}
		return r.Wait()
	})
}

func serveBackend(t *testing.T, name string, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	backendURL.Store(name, s.URL)
	return s
}

// TestClientAsksAtOnce: a backend answers only when three requests wait.
func TestClientAsksAtOnce(t *testing.T) {
	three := &together{all: make(chan struct{})}
	serveBackend(t, "three", func(w http.ResponseWriter, _ *http.Request) {
		if err := three.ask(); err != nil {
			w.WriteHeader(500)
		}
	})
	s := start(t, embedded)
	if status, body := s.get("/ask/three"); status != 204 {
		t.Errorf("%d %s", status, body)
	}
}

// TestSlowHostHoldsUpNobodyElse: 1,000 calls wait for one host, and calls to other hosts stay
// quick.
func TestSlowHostHoldsUpNobodyElse(t *testing.T) {
	const many = 1000
	release := make(chan struct{})
	var atOnce, most atomic.Int32
	serveBackend(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		n := atOnce.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		atOnce.Add(-1)
	})
	serveBackend(t, "quick", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "quick") })
	s := start(t, embedded, "client.host_max=20", fmt.Sprint("client.queue=", many-20))
	var wg sync.WaitGroup
	var failed atomic.Int32
	for range many {
		wg.Go(func() {
			if status, _ := s.get("/ask?at=slow"); status != 200 {
				failed.Add(1)
			}
		})
	}
	wait.Until(t, "all but 20 wait", func() bool {
		_, page := s.get("/metrics")
		return strings.Contains(page, fmt.Sprintf("zamqp_client_waiting %d\n", many-20))
	})
	for range 20 {
		if status, body := s.get("/ask?at=quick"); status != 200 || body != "quick" {
			t.Fatalf("%d %s", status, body)
		}
		if status, _ := s.get("/offload"); status != 200 {
			t.Fatalf("another pool: %d", status)
		}
	}
	resp, err := http.Get(s.url + "/ask?at=slow")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !s.failedWith("client.host_max") {
		t.Errorf("one more: %d %v", resp.StatusCode, resp.Header)
	}
	close(release)
	wg.Wait()
	if failed.Load() > 0 || most.Load() != 20 {
		t.Errorf("%d failed; %d at once", failed.Load(), most.Load())
	}
}

// TestClientEndsWithItsCall: a request ends at a limit, when the client goes, and at the end of a
// drain. A drain waits for an answer that comes in time.
func TestClientEndsWithItsCall(t *testing.T) {
	cut := make(chan struct{}, 10)
	asked := make(chan struct{}, 10)
	serveBackend(t, "silent", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		cut <- struct{}{}
	})
	release := make(chan struct{})
	serveBackend(t, "late", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "late")
	})
	s := start(t, embedded)
	if status, body := s.get("/ask/limit?at=silent"); status != 503 || !s.failedWith("has not answered in time: publisher.RouteTimeout") {
		t.Errorf("a limit: %d %s", status, body)
	}
	<-asked
	<-cut
	c := &http.Client{Transport: &http.Transport{}}
	req, err := http.NewRequest("GET", s.url+"/ask?at=silent", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-asked; cancel() }()
	if resp, err := c.Do(req.WithContext(ctx)); err == nil {
		_ = resp.Body.Close()
		t.Error("the client did not go")
	}
	<-cut
	answer := make(chan string, 1)
	go func() {
		_, body := s.get("/ask?at=late")
		answer <- body
	}()
	<-asked
	s.stop()
	wait.Until(t, "the drain has begun", func() bool { return strings.Contains(s.log.String(), `"draining"`) })
	close(release)
	if body := <-answer; body != "late" {
		t.Errorf("in the drain: %q", body)
	}
	if err := s.drain(); err != nil {
		t.Error(err)
	}
}

// TestClientOverHTTP2: TLS and HTTP/2 work as in net/http's transport.
func TestClientOverHTTP2(t *testing.T) {
	b := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	b.EnableHTTP2 = true
	b.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	b.StartTLS()
	t.Cleanup(b.Close)
	backendURL.Store("tls", b.URL)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, embedded, "client.tls_ca="+ca)
	if status, body := s.get("/ask?at=tls"); status != 200 || body != "HTTP/2.0" {
		t.Errorf("%d %s", status, body)
	}
	// Another authority, and the first one again: new connections follow the file.
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		text []byte
		want int
	}{{selfsigned.New(t).PEM(t), 500}, {text, 200}} {
		if err := os.WriteFile(ca+".new", step.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(ca+".new", ca); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, fmt.Sprint("new connections get ", step.want), func() bool {
			status, body := s.get("/ask?at=tls")
			return (status == 200) == (step.want == 200) && (status == 200 || strings.Contains(body+s.log.String(), "certificate"))
		})
	}
}
