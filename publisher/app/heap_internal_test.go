package app

import (
	"runtime"
	"testing"

	"zamqp/publisher/config"
)

// TestHeapFloor: the collector does not begin before the heap has the floor's size.
func TestHeapFloor(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	defer func(b []byte) { ballast = b }(ballast)
	for _, row := range []struct{ limit, want config.Size }{{0, 32 * config.MiB}, {24 * config.GiB, 32 * config.MiB}, {160 * config.MiB, 10 * config.MiB}} {
		ballast = nil
		if got := floorHeap(row.limit); got != row.want {
			t.Errorf("of %s: %s", row.limit, got)
		}
		var m runtime.MemStats
		runtime.GC()
		if runtime.ReadMemStats(&m); config.Size(m.NextGC) < 2*row.want*9/10 {
			t.Errorf("of %s: the next cycle is at %s", row.limit, config.Size(m.NextGC))
		}
	}
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "200")
		if got := floorHeap(0); got != 0 {
			t.Errorf("with %s: %s", name, got)
		}
		t.Setenv(name, "")
	}
}
