package process

import (
	"os"
	"os/exec"
	"testing"
)

// selfEnv marks a process that a test binary has started from itself.
const selfEnv = "ZAMQPTEST_SELF"

// Main is the TestMain of tests that start their own binary as a server, so that
// it has the handlers that the test registers. In such a process it runs server
// with the command line; in any other it runs the tests.
//
//	func TestMain(m *testing.M) { process.Main(m, app.Main) }
func Main(m *testing.M, server func(args []string) int) {
	if os.Getenv(selfEnv) != "" {
		os.Exit(server(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Self is the command that runs this test binary as a server: [Main] there gets
// args. Append more environment to Env.
func Self(args ...string) *exec.Cmd {
	return AsSelf(exec.Command(os.Args[0], args...))
}

// AsSelf is Self for a command that itself starts [os.Args][0], such as sh or
// nsenter.
func AsSelf(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = Environment(selfEnv + "=1")
	return cmd
}
