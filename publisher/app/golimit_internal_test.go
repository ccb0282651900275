package app

import (
	"testing"

	"zamqp/publisher/config"
)

// TestGoAndMessagesFitMemory: with what config makes of broker.memory_max there.
func TestGoAndMessagesFitMemory(t *testing.T) {
	const messages = 120 * config.MiB
	if n := goShare(300*config.MiB, messages, true) + messages; n > 300*config.MiB {
		t.Errorf("all together: %s", n)
	}
}
