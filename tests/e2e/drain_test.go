package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/wait"
)

// TestDrainDelay: a client that comes within the delay is served, and can see that
// it should go elsewhere. A feed ends itself and does not delay the stop.
func TestDrainDelay(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the delay")
	}
	s := start(t, embedded, "server.drain_delay=4s", "server.drain_timeout=1h")
	ended := make(chan string, 1)
	go func() {
		_, body := s.get("/feed")
		ended <- body
	}()
	wait.Until(t, "the feed runs", func() bool { return saw("feeding") > 0 })
	begun := time.Now()
	s.stop()
	wait.Until(t, "the drain has begun", func() bool { return strings.Contains(s.log.String(), `"draining"`) })
	for path, want := range map[string]int{"/readyz": 503, "/livez": 200, "/sleep/1": 200} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			if time.Since(begun) > 3*time.Second {
				t.Skip("the machine is too slow for the delay")
			}
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || !resp.Close {
			t.Errorf("%s: %d, the last answer: %v", path, resp.StatusCode, resp.Close)
		}
	}
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if body := <-ended; body != "first.bye." {
		t.Errorf("the feed got %q", body)
	}
}
