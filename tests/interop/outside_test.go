package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zamqp/tests/kit/process"
)

// outsider builds, once, the server in testdata/outside: a foreign module that uses
// zamqp as a dependency. The drain tests use it for its slow handlers.
var outsider = sync.OnceValues(func() (string, error) {
	dir, err := module("outside", "example.org/shop")
	if err != nil {
		return "", err
	}
	// What `go mod tidy` would do, without looking for anything newer: the go.mod
	// gets the indirect requirements.
	cmd := exec.Command("go", "build", "-mod=mod", "-o", os.DevNull, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in a module that requires zamqp: %w\n%s", err, out)
	}
	return build(dir, "shop")
})

// module makes a foreign module that requires zamqp, and other modules, from a
// folder in testdata, and returns the folder of the new module.
func module(name, path string, requires ...string) (dir string, err error) {
	dir = filepath.Join(scratch, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		return "", err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return "", err
	}
	mod := fmt.Sprintf("module %s\n\ngo 1.26.0\n\nrequire zamqp v0.0.0\n\nreplace zamqp => %s\n", path, root)
	for _, r := range requires {
		mod += "\nrequire " + r + "\n"
	}
	for name, text := range map[string]string{"go.mod": mod, "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func startOutsider(t *testing.T, amqpURL string, options ...string) *server {
	t.Helper()
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, process.FreeAddress(t), amqpURL, options...)
	s.waitReady()
	return s
}

// TestHandlerPackageOfAnotherModule: a handler package needs nothing of this
// repository but an import, and its routes are listed like ours.
func TestHandlerPackageOfAnotherModule(t *testing.T) {
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "routes")
	cmd.Dir, cmd.Env = t.TempDir(), process.Environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"GET /slow/{pause}", "GET /hello", "POST /orders"} {
		if !strings.Contains(strings.Join(strings.Fields(string(out)), " "), want) {
			t.Errorf("`routes` does not show %q:\n%s", want, out)
		}
	}
}

// TestSettingsOfAnotherModule: a foreign module has settings of its own.
func TestSettingsOfAnotherModule(t *testing.T) {
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		option, want string
		fails        bool
	}{
		{"app.settled.pause=5s", "settled.pause 5s -o", false},
		{"app.settled.pause=5m", "-o: app.settled.pause = \"5m\": out of range: the least is 1s and the most is 1m", true},
	} {
		cmd := exec.Command(path, "check", "-o", row.option)
		cmd.Dir, cmd.Env = t.TempDir(), process.Environment("ZAMQP_APP__SETTLED__GREETING=Hi")
		out, err := cmd.CombinedOutput()
		if said := strings.Join(strings.Fields(string(out)), " "); err != nil != row.fails || !strings.Contains(said, row.want) {
			t.Errorf("%s: %v\n%s", row.option, err, out)
		}
	}
}
