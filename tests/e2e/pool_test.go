package e2e_test

import (
	"strings"
	"sync"
	"testing"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// database has one lock for all writers, as SQLite has: a transaction that
// begins waits for the end of the one before it.
type database struct{ lock chan struct{} }

var oneWriter = database{make(chan struct{}, 1)}

// slow is a dependency that answers when release is closed.
var slow struct{ release chan struct{} }

func init() {
	publisher.Pool("e2e-slow", 2)
	publisher.Handle("POST /write", func(r *publisher.Request) error {
		if err := r.Offload(func() error { oneWriter.lock <- struct{}{}; return nil }); err != nil {
			return err
		}
		if err := r.Join(&writing{}); err != nil {
			return err
		}
		if err := r.Offload(func() error { return nil }); err != nil { // an INSERT
			return err
		}
		if r.Header("Content-Type") == "text/abort" {
			return publisher.Errorf(422, "no")
		}
		return nil
	})
	publisher.Handle("POST /slow", func(r *publisher.Request) error {
		return r.OffloadTo("e2e-slow", func() error { <-slow.release; return nil })
	})
}

// writing is the transaction of one call.
type writing struct{}

func (w *writing) Prepare(*publisher.Request) error  { return nil }
func (w *writing) Commit(r *publisher.Request) error { return r.Offload(unlock) }
func (w *writing) Abort(r *publisher.Request)        { _ = r.Offload(unlock) }
func unlock() error                                  { <-oneWriter.lock; return nil }

// TestWritersDoNotLockEachOtherOut: more calls want the lock than the pool has workers, and
// the one that has the lock needs the pool to release it.
func TestWritersDoNotLockEachOtherOut(t *testing.T) {
	s := start(t, embedded, "server.drain_timeout=5s", "server.call_timeout=20s")
	var wg sync.WaitGroup
	for i := range 40 {
		contentType, want := "text/plain", 204
		if i%5 == 4 {
			contentType, want = "text/abort", 422
		}
		wg.Go(func() {
			for range 5 {
				if status, body := s.do("POST", "/write", contentType, ""); status != want {
					t.Errorf("%d %s, want %d", status, body, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestSlowPoolHoldsUpNobodyElse: a dependency that does not answer keeps its own
// pool busy, and nothing else.
func TestSlowPoolHoldsUpNobodyElse(t *testing.T) {
	slow.release = make(chan struct{})
	s := start(t, embedded, "pool.e2e-slow.queue=30")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if status, body := s.do("POST", "/slow", "", ""); status != 204 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	wait.Until(t, "30 calls wait", func() bool {
		_, page := s.get("/metrics")
		return strings.Contains(page, `zamqp_pool_waiting{pool="e2e-slow"} 30`)
	})
	if status, body := s.do("POST", "/slow", "", ""); status != 503 || body != "the pool \"e2e-slow\" is full\n" {
		t.Errorf("one more: %d %s", status, body)
	}
	if status, body := s.get("/offload"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	close(slow.release)
	wg.Wait()
}
