// Package disk_test takes the disk and the descriptors away from a real zamqp, and
// gives them back: the broker and the spool go on without a restart, and nothing
// that was confirmed is lost. The server is this test binary, run again.
package disk_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sys/unix"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

const patience = wait.Patience

func TestMain(m *testing.M) {
	process.Main(m, func(args []string) int {
		publisher.Produce("work", publisher.Producer{Queue: "disk-work", Codec: "text"})
		publisher.Handle("POST /work", func(r *publisher.Request) error {
			if err := r.Publish("work", append([]byte(nil), r.Body()...)); err != nil {
				return err
			}
			return r.Reply(202, nil)
		})
		publisher.Produce("ask", publisher.Producer{Queue: "disk-ask", Codec: "text"})
		publisher.Handle("POST /ask", func(r *publisher.Request) error {
			_, err := r.Call("ask", append([]byte(nil), r.Body()...), publisher.Timeout(500*time.Millisecond))
			return err
		})
		return app.Main(args)
	})
}

// zamqp is a process of the server.
type zamqp struct {
	t          *testing.T
	dir        string // where it works
	http, amqp string // addresses
	inside     []string
	process    *process.Process // nil while none runs
	log        *os.File
}

func newZamqp(t *testing.T) *zamqp {
	z := &zamqp{t: t, dir: t.TempDir(), http: process.FreeAddress(t), amqp: process.FreeAddress(t)}
	var err error
	if z.log, err = os.Create(filepath.Join(z.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if z.process != nil {
			z.kill()
		}
		_ = z.log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(z.log.Name())
			t.Logf("its log:\n%s", text[max(0, len(text)-5000):])
		}
	})
	return z
}

// onDisk gives it a disk of so many MiB, in a mount namespace of its own, and
// returns the path to what is in it.
func (z *zamqp) onDisk(mib int) (disk string) {
	z.t.Helper()
	if os.Geteuid() != 0 || exec.Command("unshare", "--mount", "true").Run() != nil {
		z.t.Skip("mounting a small disk takes root")
	}
	mount := filepath.Join(z.dir, "disk")
	if err := os.Mkdir(mount, 0o700); err != nil {
		z.t.Fatal(err)
	}
	holder := exec.Command("unshare", "--mount", "sh", "-c",
		fmt.Sprintf("mount -t tmpfs -o size=%dm tmpfs %s && echo ready && exec sleep infinity", mib, mount))
	holder.SysProcAttr = process.WithParent()
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		z.t.Fatal(err)
	}
	z.t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	if line := make([]byte, 16); true {
		if n, _ := out.Read(line); !strings.HasPrefix(string(line[:n]), "ready") {
			z.t.Skip("a small disk cannot be mounted here")
		}
	}
	z.inside = []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", holder.Process.Pid)}
	return fmt.Sprintf("/proc/%d/root%s", holder.Process.Pid, mount)
}

// start starts it with settings, by words of the shell before the command.
func (z *zamqp) start(command, shell string, settings ...string) {
	z.t.Helper()
	args := append(append([]string{}, z.inside...), "sh", "-c", shell+`exec "$0" "$@"`, os.Args[0], command,
		"-o", "log.format=json")
	if z.amqp != "" {
		args = append(args, "-o", "broker.listen="+z.amqp)
	}
	if command == "serve" {
		args = append(args, "-o", "http.listen="+z.http)
	}
	for _, s := range settings {
		args = append(args, "-o", s)
	}
	cmd := process.AsSelf(exec.Command(args[0], args[1:]...))
	cmd.Dir, cmd.Stdout, cmd.Stderr = z.dir, z.log, z.log
	cmd.SysProcAttr = process.WithParent()
	var err error
	if z.process, err = process.Start(cmd); err != nil {
		z.t.Fatal(err)
	}
	z.until("it listens", func() bool {
		at := z.amqp
		if command == "serve" {
			at = z.http
		}
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (z *zamqp) kill() {
	z.process.Kill()
	z.process = nil
}

func (z *zamqp) until(what string, done func() bool) {
	z.t.Helper()
	wait.Until(z.t, what, done)
}

// ready is what /readyz says.
func (z *zamqp) ready() string {
	resp, err := http.Get("http://" + z.http + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(b))
}

// post is the status of a POST.
func (z *zamqp) post(body string) int { return z.postTo("/work", body) }

func (z *zamqp) postTo(path, body string) int {
	resp, err := http.Post("http://"+z.http+path, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// descriptors bounds what the process may open from now on.
func (z *zamqp) descriptors(n uint64) {
	z.t.Helper()
	limit := unix.Rlimit{Cur: n, Max: 4096}
	if err := unix.Prlimit(z.process.Pid(), unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		z.t.Fatal(err)
	}
}

// client is a channel with confirms and a queue.
func (z *zamqp) client() *amqp.Channel {
	z.t.Helper()
	c, err := amqp.Dial("amqp://guest:guest@" + z.amqp + "/")
	if err != nil {
		z.t.Fatal(err)
	}
	z.t.Cleanup(func() { _ = c.Close() })
	ch, err := c.Channel()
	if err == nil {
		_, err = ch.QueueDeclare("disk-work", true, false, false, false, nil)
	}
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		z.t.Fatal(err)
	}
	return ch
}

// publish sends a persistent message of so many octets whose first are its name.
func publish(t *testing.T, ch *amqp.Channel, name string, size int) *amqp.DeferredConfirmation {
	t.Helper()
	body := name + strings.Repeat(".", max(0, size-len(name)))
	d, err := ch.PublishWithDeferredConfirmWithContext(context.Background(), "", "disk-work", true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// confirmed waits for confirms.
func confirmed(t *testing.T, all ...*amqp.DeferredConfirmation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, d := range all {
		if ok, err := d.WaitContext(ctx); err != nil || !ok {
			t.Fatalf("publish %d of %d: ack %v, %v", i, len(all), ok, err)
		}
	}
}

// drain takes and acks all that is in the queue, and names it.
func drain(t *testing.T, ch *amqp.Channel) map[string]int {
	t.Helper()
	names := map[string]int{}
	for {
		d, ok, err := ch.Get("disk-work", false)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return names
		}
		name, _, _ := strings.Cut(string(d.Body), ".")
		names[name]++
		if err := d.Ack(false); err != nil {
			t.Fatal(err)
		}
	}
}
