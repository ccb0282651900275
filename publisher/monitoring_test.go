package publisher_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// TestMonitoringBesideCallsMax: a server that refuses work at its bound still
// answers those who watch it, within a bound that is their own, and they take
// nobody's place.
func TestMonitoringBesideCallsMax(t *testing.T) {
	b := newBench(t)
	sleep := func(r *publisher.Request) error { return r.Sleep(time.Hour) }
	b.reg.Handle("GET /work", sleep)
	b.reg.Handle("GET /livez", func(r *publisher.Request) error { return r.Text(200, "ok\n") }, publisher.Monitoring)
	b.reg.Handle("GET /metrics", sleep, publisher.Monitoring)
	b.start(publisher.Options{CallsMax: 2})
	for range 32 {
		b.request("GET", "/metrics", "", "")
	}
	b.request("GET", "/metrics", "", "")
	if o := b.last(); o.status != 503 || b.server.Live() != 32 {
		t.Fatalf("the 33rd: status %d, %d calls", o.status, b.server.Live())
	}
	b.request("GET", "/work", "", "")
	b.request("GET", "/work", "", "")
	if b.server.Live() != 34 {
		t.Fatalf("monitoring took the place of work: %d calls", b.server.Live())
	}
	for _, target := range []string{"/work", "/nowhere", "/work?x"} {
		b.request("GET", target, "", "")
		if o := b.last(); o.status != 503 || !strings.Contains(o.body, "too many calls") {
			t.Errorf("%s: status %d %q", target, o.status, o.body)
		}
	}
	b.advance(2 * time.Hour)
	if b.server.Live() != 0 {
		t.Fatalf("%d calls", b.server.Live())
	}
	b.request("GET", "/work", "", "")
	b.request("GET", "/work", "", "")
	b.request("HEAD", "/livez", "", "")
	if o := b.last(); o.status != 200 {
		t.Errorf("/livez at the bound: %d %q", o.status, o.body)
	}
}
