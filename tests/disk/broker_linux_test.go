package disk_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sys/unix"

	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/selfsigned"
)

// TestAFullDiskEmpties: another program fills the disk of the broker. Consumers continue, and
// messages that they ack are gone for good. Publishers wait, learn why, and continue when
// there is space.
func TestAFullDiskEmpties(t *testing.T) {
	z := newZamqp(t)
	disk := z.onDisk(64)
	settings := []string{"broker.data_dir=" + filepath.Join(z.dir, "disk", "data"), "broker.disk_free_min=off"}
	z.start("serve", "", settings...)
	ch := z.client()
	for i := range 40 {
		confirmed(t, publish(t, ch, fmt.Sprint("before", i), 200_000))
	}
	z.until("the reserve is there", func() bool { _, err := os.Stat(disk + "/data/broker/reserve"); return err == nil })
	fill(t, disk)
	// Publishers go on until no room is left.
	pub := z.client()
	var waiting []*amqp.DeferredConfirmation
	z.until("publishers are blocked", func() bool {
		if strings.Contains(z.ready(), `"blocked"`) {
			return true
		}
		waiting = append(waiting, publish(t, pub, fmt.Sprint("more", len(waiting)), 500_000))
		return false
	})
	if said := z.ready(); !strings.HasPrefix(said, "503 ") || !strings.Contains(said, "no space left") || !strings.Contains(said, "make room where") {
		t.Error(said)
	}
	names := drain(t, ch)
	for i := range 40 {
		if names[fmt.Sprint("before", i)] != 1 {
			t.Errorf("before%d came %d times", i, names[fmt.Sprint("before", i)])
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		waiting = append(waiting, publish(t, pub, "last", 100))
	}()
	if err := os.Remove(disk + "/filler"); err != nil {
		t.Fatal(err)
	}
	<-done
	confirmed(t, waiting...)
	z.until("it is ready", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
	z.kill()
	z.start("serve", "", settings...)
	for name, n := range drain(t, z.client()) {
		names[name] += n
		if strings.HasPrefix(name, "before") {
			t.Errorf("%s was acked on the full disk and has come again", name)
		}
	}
	for i := range len(waiting) - 1 {
		if name := fmt.Sprint("more", i); names[name] == 0 {
			t.Errorf("%s was confirmed and is lost", name)
		}
	}
	if names["last"] == 0 {
		t.Error("the last one was confirmed and is lost")
	}
}

// fill takes all room of a disk.
func fill(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(disk + "/filler")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err := f.Write(b); err != nil {
			b = b[:len(b)/2]
		}
	}
}

// TestDiskFreeMinIsKept: 300 messages of 500 kB at once, by 30 connections, on a disk with
// less space than that. Octets are counted as they arrive, so that disk_free_min stays free.
func TestDiskFreeMinIsKept(t *testing.T) {
	z := newZamqp(t)
	disk := z.onDisk(96)
	z.start("broker", "", "broker.data_dir="+filepath.Join(z.dir, "disk", "data"), "broker.disk_free_min=32MiB")
	var all [30][]*amqp.DeferredConfirmation
	var chs [30]*amqp.Channel
	for i := range chs {
		chs[i] = z.client()
	}
	sent := make(chan bool, len(chs))
	for i, ch := range chs {
		go func() {
			defer func() { sent <- true }()
			for n := range 10 {
				all[i] = append(all[i], publish(t, ch, fmt.Sprintf("m%d-%d", i, n), 500_000))
			}
		}()
	}
	get := z.client()
	names := map[string]int{}
	least := int64(1 << 60)
	for left := len(chs); left > 0 || len(names) < 300; {
		var st unix.Statfs_t
		if err := unix.Statfs(disk, &st); err != nil {
			t.Fatal(err)
		}
		least = min(least, int64(st.Bavail)*int64(st.Bsize))
		select {
		case <-sent:
			left--
		default:
		}
		for name, n := range drain(t, get) {
			names[name] += n
		}
	}
	for _, one := range all {
		confirmed(t, one...)
	}
	t.Logf("%d MiB stayed free", least>>20)
	// 300 kB for zeros that are written ahead, and a message of each of a few connections.
	if least < 30<<20 {
		t.Errorf("only %d octets stayed free", least)
	}
}

// TestDescriptorsRunOut: 64 descriptors, 100 idle HTTP connections and 20 MB of
// persistent publishes: all are confirmed. Then nothing can be opened at all for a
// while, and then all goes on.
func TestDescriptorsRunOut(t *testing.T) {
	z := newZamqp(t)
	z.start("serve", "ulimit -n 64; ", "broker.data_dir="+filepath.Join(z.dir, "data"))
	ch := z.client()
	var idle []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", z.http)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	var first, second []*amqp.DeferredConfirmation
	for i := range 200 {
		first = append(first, publish(t, ch, fmt.Sprint("first", i), 100_000))
	}
	confirmed(t, first...)
	for _, c := range idle {
		c.Close()
	}
	z.until("it serves again", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
	limited := time.Now()
	if err := unix.Prlimit(z.process.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4, Max: 64}, nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := range 400 {
			second = append(second, publish(t, ch, fmt.Sprint("second", i), 100_000))
		}
	}()
	z.until("the log names the cause", func() bool {
		text, _ := os.ReadFile(z.log.Name())
		return strings.Contains(string(text), "too many open files")
	})
	t.Logf("no descriptors for %v", time.Since(limited).Round(time.Millisecond))
	if err := unix.Prlimit(z.process.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}, nil); err != nil {
		t.Fatal(err)
	}
	<-done
	confirmed(t, second...)
	z.until("it is ready", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
	if names := drain(t, z.client()); len(names) != 600 {
		t.Errorf("%d messages of 600", len(names))
	}
}

// TestTLSLeavesDescriptors: 100 silent connections to the TLS port use none of the
// descriptors that are kept for files and the server's own connections.
func TestTLSLeavesDescriptors(t *testing.T) {
	z := newZamqp(t)
	own := selfsigned.New(t)
	z.start("broker", "ulimit -n 64; ", "broker.data_dir="+filepath.Join(z.dir, "data"), "broker.tls_cert="+own.Cert, "broker.tls_key="+own.Key)
	var closed atomic.Int32
	for range 100 {
		c, err := net.Dial("tcp", z.amqp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			_, _ = c.Read(make([]byte, 1))
			closed.Add(1)
		}()
	}
	most := 0
	z.until("those over the share are closed", func() bool {
		open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", z.process.Pid()))
		most = max(most, len(open))
		return closed.Load() >= 52
	})
	if most > 64-8 { // 16 are kept; a few of them serve to look at clients that are refused
		t.Errorf("%d of 64 descriptors were in use", most)
	}
}

// TestABlockedConnectionIsNamed: publishes and calls to a broker that blocks
// publishers end with 503, whose lines in the log name that, and /readyz says which
// connection it is, since when, why, and what to do.
func TestABlockedConnectionIsNamed(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		z := newZamqp(t)
		z.start("serve", "", "broker.data_dir="+filepath.Join(z.dir, "data"), "broker.disk_free_min=1024GiB", "connection.default.confirm_timeout=500ms")
		z.until("the disk was looked at", func() bool { return strings.HasPrefix(z.ready(), "503 ") })
		z.namesTheBlock("low on disk", "less than broker.disk_free_min is free")
	})
	t.Run("rabbitmq", func(t *testing.T) {
		node := rabbitmq.New(t)
		z := newZamqp(t)
		z.amqp = "" // no broker of its own
		z.start("serve", "", "connection.default.url="+node.URL, "connection.default.confirm_timeout=500ms")
		z.until("it is ready", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
		node.Ctl(t, "set_disk_free_limit", "100000GB")
		// RabbitMQ tells a client that it is blocked when the client publishes, and
		// not before.
		z.until("publishers are blocked", func() bool { return z.postTo("/work", "x") == 503 })
		z.namesTheBlock("low on disk", "publishes go on by themselves")
		node.Ctl(t, "set_disk_free_limit", "1MB")
		z.until("it is ready again", func() bool { return strings.HasPrefix(z.ready(), "200 ") })
		z.until("publishes are taken again", func() bool { return z.postTo("/work", "x") == 202 })
	})
}

func (z *zamqp) namesTheBlock(why string, words ...string) {
	t := z.t
	t.Helper()
	for _, path := range []string{"/work", "/ask"} {
		if status := z.postTo(path, "x"); status != 503 {
			t.Errorf("%s: %d", path, status)
		}
	}
	said := z.ready()
	for _, want := range append(words, `"default"`, `"blocked"`, "the broker blocks publishers since 20", why) {
		if !strings.Contains(said, want) {
			t.Errorf("/readyz does not say %q: %s", want, said)
		}
	}
	// The log is written beside the answers, so a line may come after its answer.
	for _, path := range []string{"/work", "/ask"} {
		z.until("the 503 of "+path+" names it", func() bool {
			text, _ := os.ReadFile(z.log.Name())
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, `"call":"POST `+path+`"`) && strings.Contains(line, "the broker blocks publishers") && strings.Contains(line, why) {
					return true
				}
			}
			return false
		})
	}
}
