// Package qpid gives tests Apache Qpid Broker-J: a broker that speaks AMQP 0-9-1
// and has none of RabbitMQ's extensions of it.
//
//	url := qpid.Start(t)
//
// Maven fetches it once, into the user's cache; the broker runs in memory, on
// loopback, and ends with the test.
package qpid

import (
	"embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/process"
)

//go:embed broker
var files embed.FS

// Start returns the URL of a broker for t alone. It skips the test where Java or
// Maven is missing, or Maven cannot reach its registry.
func Start(t testing.TB) (url string) {
	t.Helper()
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: apt-get install default-jdk-headless maven", tool)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"pom.xml", "config.json", "Launcher.java"} {
		text, err := files.ReadFile("broker/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	classes := fetch(t, dir)
	addr := process.FreeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	log := launch(t, dir, classes, port)
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return fmt.Sprintf("amqp://guest:guest@%s/", addr)
		}
		if time.Now().After(until) {
			text, _ := os.ReadFile(log)
			t.Fatalf("Qpid did not start:\n%s", text)
		}
	}
}

// fetch has Maven resolve what the pom names and returns the class path. What it
// has fetched stays in Maven's own repository.
func fetch(t testing.TB, dir string) (classes string) {
	t.Helper()
	cmd := exec.Command("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("Maven could not fetch Qpid Broker-J: %v: %s", err, lines[0])
	}
	text, err := os.ReadFile(filepath.Join(dir, "classpath"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// launch starts the broker; it ends when its standard input does.
func launch(t testing.TB, dir, classes, port string) (log string) {
	t.Helper()
	log = filepath.Join(dir, "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("java", "-Xmx192m", "-XX:TieredStopAtLevel=1", "-cp", classes, "Launcher.java", "config.json", port, filepath.Join(dir, "work"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("Java does not start: ", err)
	}
	t.Cleanup(func() {
		_ = in.(io.Closer).Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
	})
	return log
}
