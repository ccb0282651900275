package app

import "testing"

// TestGoAndMessagesFitMemory: with what config makes of broker.memory_max there.
func TestGoAndMessagesFitMemory(t *testing.T) {
	const messages = 120 * MiB
	if n := goShare(300*MiB, messages, true) + messages; n > 300*MiB {
		t.Errorf("all together: %s", n)
	}
}
