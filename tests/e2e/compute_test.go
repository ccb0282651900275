package e2e_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// computing is the work of POST /compute: at most computeMost pieces, which take
// some 50 ms of a processor each.
var computing struct{ begun, pieces, over atomic.Int64 }

const computeMost = 60

func init() {
	publisher.Handle("POST /compute", func(r *publisher.Request) error {
		defer computing.over.Add(1)
		computing.begun.Add(1)
		for n := 0; n < computeMost && r.Context().Err() == nil; n++ {
			if err := r.Offload(computePiece); err != nil {
				return err
			}
			computing.pieces.Add(1)
		}
		return nil
	})
	publisher.Handle("GET /plain", func(r *publisher.Request) error { return r.Text(200, "plain") })
}

func computePiece() error {
	x := uint64(1)
	for range 40_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		panic("cannot be")
	}
	return nil
}

// TestComputingHoldsUpNobody: while four calls compute in offloaded work, a thousand requests
// and some transactions are done before one of the four is.
func TestComputingHoldsUpNobody(t *testing.T) {
	computing.begun.Store(0)
	computing.over.Store(0)
	s := start(t, embedded, "server.drain_timeout=1ms")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { s.do("POST", "/compute", "", "") })
	}
	wait.Until(t, "four compute", func() bool { return computing.begun.Load() == 4 })
	for range 1000 {
		if status, body := s.get("/plain"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	for range 10 {
		if status, body := s.do("POST", "/write", "", ""); status != 204 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if n := computing.over.Load(); n != 0 {
		t.Errorf("%d of the four were done first", n)
	}
	t.Logf("meanwhile they did %d pieces of %d", computing.pieces.Load(), 4*computeMost)
	s.stop()
	wg.Wait()
}
