package disk_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"zamqp/tests/kit/racing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// memoryGroup makes a control group with a memory limit, of version 2 or 1, and returns its
// folder. The test is skipped if that is not possible.
func memoryGroup(t *testing.T, mib int) (dir string) {
	t.Helper()
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(own)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		mount, limit := "/sys/fs/cgroup", "memory.max"
		switch {
		case controllers == "memory":
			mount, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case number != "0":
			continue
		}
		dir = filepath.Join(mount, path, fmt.Sprintf("zamqp-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			dir = filepath.Join(mount, filepath.Base(dir))
			if os.Mkdir(dir, 0o755) != nil {
				continue
			}
		}
		if os.WriteFile(filepath.Join(dir, limit), []byte(strconv.Itoa(mib<<20)), 0o600) == nil {
			t.Cleanup(func() { _ = os.Remove(dir) })
			return dir
		}
		_ = os.Remove(dir)
	}
	t.Skip("no control group with a bound of memory can be made here")
	return ""
}

// inGroup makes the shell join the group before it becomes the server.
func inGroup(dir string) string { return fmt.Sprintf("echo $$ > %s/cgroup.procs; ", dir) }

// TestAFloodInASmallContainer: more messages than a container of 300 MiB can hold
// come at once, and more uploads: publishers are blocked, uploads wait or are
// refused, and the server is not killed. Publishers go on when there is a consumer.
func TestAFloodInASmallContainer(t *testing.T) {
	const publishers, each, size = 10, 200, 200_000
	if racing.Enabled {
		t.Skip("300 MiB are too few for what the race detector adds to the server")
	}
	in := inGroup(memoryGroup(t, 300)) // is removed when the process has ended
	z := newZamqp(t)
	z.start("serve", in, "broker.data_dir="+filepath.Join(z.dir, "data"), "http.body_max=16MiB")
	var group sync.WaitGroup
	var got, bad atomic.Int64
	for range publishers {
		ch := z.client()
		group.Go(func() {
			for range each { // transient messages are kept in memory alone
				d, err := ch.PublishWithDeferredConfirm("", "disk-work", true, false, amqp.Publishing{Body: make([]byte, size)})
				if err != nil || !d.Wait() {
					bad.Add(1)
					return
				}
			}
		})
	}
	z.until("publishers are blocked", func() bool { return strings.Contains(z.ready(), "over broker.memory_max") })
	upload := strings.Repeat("u", 8<<20)
	for range 40 {
		group.Go(func() {
			resp, err := http.Post("http://"+z.http+"/work", "text/plain", strings.NewReader(upload))
			if err == nil {
				resp.Body.Close()
			}
		})
	}
	deliveries, err := z.client().Consume("disk-work", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for d := range deliveries {
			if len(d.Body) == size {
				got.Add(1)
			}
		}
	}()
	z.until("all have come", func() bool { return got.Load() == publishers*each || bad.Load() > 0 })
	group.Wait()
	if bad.Load() > 0 {
		t.Errorf("%d publishers have failed, %d messages have come", bad.Load(), got.Load())
	}
	z.until("it is ready", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
}
