package wiretest

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// SeedEnv names the environment variable that repeats the run of one seed.
const SeedEnv = "ZAMQP_WIRE_SEED"

// Seeds runs fn as n subtests, each with a seed of its own: first 0, the calm wire,
// then 1, 2, …, and last a random one. If ZAMQP_WIRE_SEED is set, it runs only that
// seed.
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
