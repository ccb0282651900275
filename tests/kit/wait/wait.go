// Package wait polls until a condition holds. Tests use it instead of sleeping:
// a sleep is too short on a busy machine and too long on every other.
package wait

import (
	"testing"
	"time"
)

// Patience bounds each wait for something that must come. It only ends a hang: even
// a busy machine is faster.
const Patience = 2 * time.Minute

// interval is the pause between two questions. It is short: most questions are
// cheap, and tests wait often.
const interval = 5 * time.Millisecond

// Until polls until ok returns true. After Patience it fails t, and names what it
// has waited for.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !For(ok) {
		t.Fatalf("not within %v: %s", Patience, what)
	}
}

// For polls until ok returns true, and reports whether it did within Patience.
func For(ok func() bool) bool {
	for end := time.Now().Add(Patience); !ok(); time.Sleep(interval) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
