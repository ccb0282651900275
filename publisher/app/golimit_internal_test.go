package app

import (
	"testing"

	"zamqp/loop"
	"zamqp/publisher/config"
)

// TestGoAndMessagesFitMemory: with what config makes of broker.memory_max there.
func TestGoAndMessagesFitMemory(t *testing.T) {
	const messages = 120 * config.MiB
	if n := goShare(300*config.MiB, messages, true) + messages; n > 300*config.MiB {
		t.Errorf("all together: %s", n)
	}
}

// TestHighWaterIsTheLoops: this default stands twice, because the settings do not import the
// loop, and a loop without settings (command/session.go) needs it, too.
func TestHighWaterIsTheLoops(t *testing.T) {
	if n := config.Defaults().Loop.HighWater; n != loop.HighWaterDefault {
		t.Errorf("loop.high_water is %s, the loop's own default %d", n, loop.HighWaterDefault)
	}
}
