package disk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/tests/kit/process"
)

// TestSpoolGoesOn: the broker is away, and the disk of the spool is full, or nothing
// can be opened. What was answered with 202 comes, and calls go on without a restart.
func TestSpoolGoesOn(t *testing.T) {
	for _, cause := range []string{"disk", "descriptors"} {
		t.Run(cause, func(t *testing.T) {
			z := newZamqp(t)
			disk := ""
			if cause == "disk" {
				disk = z.onDisk(32)
			} else if err := os.Mkdir(filepath.Join(z.dir, "disk"), 0o700); err != nil {
				t.Fatal(err)
			}
			at := process.FreeAddress(t)
			z.start("serve", "", "connection.default.url=amqp://guest:guest@"+at+"/", "connection.default.spool=file",
				"connection.default.spool_dir="+filepath.Join(z.dir, "disk", "spool"))
			n, told := 0, map[string]bool{}
			post := func() int {
				name := fmt.Sprint("m", n)
				n++
				status := z.post(name + strings.Repeat(".", 200_000))
				if status == 202 {
					told[name] = true
				}
				return status
			}
			for range 10 {
				if status := post(); status != 202 {
					t.Fatal(status)
				}
			}
			if cause == "disk" {
				fill(t, disk)
			} else {
				z.descriptors(4)
			}
			text := func() string { b, _ := os.ReadFile(z.log.Name()); return string(b) }
			if cause == "disk" {
				z.until("a call is refused", func() bool { return post() == 503 })
				if said := z.ready(); !strings.HasPrefix(said, "503 ") || !strings.Contains(said, "no space left") {
					t.Error(said)
				}
				if err := os.Remove(disk + "/filler"); err != nil {
					t.Fatal(err)
				}
			} else {
				// Nothing is accepted either: the connection that is open goes on.
				posted := make(chan bool)
				go func() {
					defer close(posted)
					for range 40 { // more than a segment
						post()
					}
				}()
				z.until("the log names the cause", func() bool { return strings.Contains(text(), "too many open files") })
				z.descriptors(4096)
				<-posted
			}
			z.until("calls go on", func() bool { return post() == 202 })
			b := newZamqp(t)
			b.amqp = at
			b.start("broker", "")
			z.until("the spool is empty", func() bool { return strings.Contains(z.ready(), `"state":"empty"`) })
			names := drain(t, b.client())
			for name := range told {
				if names[name] == 0 {
					t.Errorf("%s was answered and has not come", name)
				}
			}
		})
	}
}
