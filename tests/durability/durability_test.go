// Package durability_test kills the embedded broker in the middle of its work,
// again and again, and holds it to what it had told its clients before.
//
//	go test ./tests/durability -cycles 200
package durability_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"zamqp/tests/kit/embedded"
)

var (
	cycles = flag.Int("cycles", 200, "how often the broker is killed")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the moments at which it is killed")
)

// TestKill: 200 times, the broker is killed (SIGKILL) while two publishers and
// a consumer are at work, and started again on what it has left on disk.
//
//   - No message whose confirm or tx.commit-ok came is lost.
//   - No message comes again whose ack was followed, on the same channel, by a
//     publish that was confirmed.
//   - A message that had been delivered comes again with the flag redelivered,
//     and one that had not comes without.
//   - Messages come in the order of publishing, none twice on one connection.
//   - Transient messages do not come back.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a broker hundreds of times")
	}
	rng := rand.New(rand.NewPCG(*seed, 0))
	node := embedded.New(t, embedded.Options{DataDir: t.TempDir()})
	l := newLedger(t)
	began := time.Now()
	var starting time.Duration
	for cycle := range *cycles {
		w := begin(t, l, node.URL, cycle)
		time.Sleep(time.Duration(60+rng.IntN(260)) * time.Millisecond)
		node.Kill()
		w.wait()
		if t.Failed() {
			t.Fatalf("in cycle %d of seed %d", cycle, *seed)
		}
		again := time.Now()
		if err := node.Restart(); err != nil {
			t.Fatalf("after %d kills: %v", cycle+1, err)
		}
		starting += time.Since(again)
	}
	l.drain(node.URL, *cycles)
	t.Logf("%d kills in %v, seed %d, %v from start to greeting: %s", *cycles, time.Since(began).Round(time.Second), *seed,
		(starting / time.Duration(max(1, *cycles))).Round(time.Microsecond), l.summary())
}

// TestStop is TestKill with an orderly end. Nothing that was sent before
// connection.close-ok may be lost or delivered twice.
func TestStop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts brokers")
	}
	node := embedded.New(t, embedded.Options{DataDir: t.TempDir()})
	l := newLedger(t)
	for cycle := range 3 {
		w := begin(t, l, node.URL, cycle)
		time.Sleep(200 * time.Millisecond)
		node.Stop()
		w.wait()
		if err := node.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	l.drain(node.URL, 3)
	t.Log(l.summary())
}
