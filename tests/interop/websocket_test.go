package interop_test

import (
	"os/exec"
	"testing"

	"zamqp/tests/kit/process"
)

// TestWebSockets runs the test in testdata/websocket, in a module of its own, so that the
// server's module need not require those libraries.
func TestWebSockets(t *testing.T) {
	dir, err := module("websocket", "example.org/websocket", "github.com/coder/websocket v1.8.15", "github.com/gorilla/websocket v1.5.3", "github.com/gobwas/ws v1.5.0", "golang.org/x/net v0.62.0")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "test", "-mod=mod", "-count=1", "-timeout=5m", "-tags=outside", ".")
	cmd.Dir = dir
	cmd.Env = process.Environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go test: %v\n%s", err, out)
	}
}
