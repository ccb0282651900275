package wiretest

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// SeedEnv names the environment variable that repeats one seed's run.
const SeedEnv = "ZAMQP_WIRE_SEED"

// Seeds runs fn as n subtests, each with a seed of its own: first the calm wire
// (0), then 1, 2, …, and last one that is different every time. With
// ZAMQP_WIRE_SEED set it runs that seed only.
func Seeds(t *testing.T, n int, fn func(t *testing.T, seed int64)) {
	t.Helper()
	if s := os.Getenv(SeedEnv); s != "" {
		seed, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("wiretest: %s=%q is no number", SeedEnv, s)
		}
		t.Run("seed="+s, func(t *testing.T) { fn(t, seed) })
		return
	}
	for i := range int64(n) {
		seed := i
		if i == int64(n)-1 && n > 1 {
			seed = time.Now().UnixNano()
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("wiretest: repeat with %s=%d", SeedEnv, seed)
				}
			})
			fn(t, seed)
		})
	}
}
