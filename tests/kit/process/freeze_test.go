package process_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"zamqp/tests/kit/process"
)

// What is written to a frozen process is not answered before it goes on.
func TestFreeze(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("needs /proc")
	}
	cmd := exec.Command("cat")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	answers := make(chan string)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			answers <- lines.Text()
		}
	}()
	for range 100 {
		process.Freeze(t, p.Pid())
		if _, err := io.WriteString(in, "hello\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-answers:
			t.Fatalf("a frozen process answered %q", got)
		default:
		}
		if err := syscall.Kill(p.Pid(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		<-answers
	}
}
