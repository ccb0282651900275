package command

import (
	"errors"
	"strings"
	"testing"

	"zamqp/publisher"
)

// full is an output with no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestOutputThatFails: what could not be printed is not a success.
func TestOutputThatFails(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"routes"}, {"--help"}, {"dead"}, {"check", "-o", "site.id=x"}} {
		var stderr strings.Builder
		c := &CLI{Registry: publisher.NewRegistry(), Stdout: full{}, Stderr: &stderr}
		if code := c.Run(t.Context(), args); code != exitFailure || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%q: exit %d, %q", args, code, stderr.String())
		}
	}
}
