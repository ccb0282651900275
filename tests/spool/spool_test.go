// Package spool kills a real zamqp with a spool, and its broker, and counts what
// arrives.
package spool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Produce("work", publisher.Producer{Queue: "spool-work", Codec: "text"})
	publisher.Produce("lost", publisher.Producer{Mandatory: true, Codec: "text"})
	publisher.Handle("POST /work", func(r *publisher.Request) error {
		if err := r.Publish("work", append([]byte(nil), r.Body()...)); err != nil {
			return err
		}
		return r.Reply(202, nil)
	})
	publisher.Handle("POST /lost", func(r *publisher.Request) error { // three at once; the middle one reaches nobody
		_ = r.Publish("work", []byte("before"))
		_ = r.Publish("lost", []byte("nobody"), publisher.Key("spool-nobody"))
		_ = r.Publish("work", []byte("after"))
		return r.Reply(202, nil)
	})
}

func TestMain(m *testing.M) { process.Main(m, app.Main) }

// zamqp is a process that can be killed.
type zamqp struct {
	t       *testing.T
	dir     string
	address string
	broker  string
	more    []string
	process *process.Process // nil while none runs
	log     *os.File
}

func newZamqp(t *testing.T, broker string, options ...string) *zamqp {
	t.Helper()
	z := &zamqp{t: t, dir: t.TempDir(), address: process.FreeAddress(t), broker: broker, more: options}
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
			t.Logf("its log:\n%s", text)
		}
	})
	return z
}

func (z *zamqp) options() []string {
	args := []string{"-o", "connection.default.url=" + z.broker, "-o", "connection.default.spool=file",
		"-o", "connection.default.spool_dir=" + filepath.Join(z.dir, "spool")}
	for _, o := range z.more {
		args = append(args, "-o", o)
	}
	return args
}

func (z *zamqp) start() {
	z.t.Helper()
	args := append([]string{"serve", "-o", "http.listen=" + z.address, "-o", "connection.default.backoff_min=20ms",
		"-o", "connection.default.backoff_max=200ms", "-o", "log.format=json"}, z.options()...)
	cmd := z.command(args...)
	cmd.Stdout, cmd.Stderr = z.log, z.log
	var err error
	if z.process, err = process.Start(cmd); err != nil {
		z.t.Fatal(err)
	}
	z.until("it serves", func() bool { _, err := z.get("/healthz"); return err == nil })
}

func (z *zamqp) command(args ...string) *exec.Cmd {
	cmd := process.Self(args...)
	cmd.Dir = z.dir
	return cmd
}

// run runs another command beside it.
func (z *zamqp) run(args ...string) (string, error) {
	out, err := z.command(append(args, z.options()...)...).CombinedOutput()
	return string(out), err
}

func (z *zamqp) kill() {
	z.process.Kill()
	z.process = nil
}

// stop ends it cleanly, so that it forgets messages that have left.
func (z *zamqp) stop() {
	z.t.Helper()
	if err := z.process.Stop(); err != nil {
		z.t.Error(err)
	}
	z.process = nil
}

func (z *zamqp) until(what string, holds func() bool) {
	z.t.Helper()
	if !wait.For(holds) {
		z.t.Fatalf("%s: not within %v; connection %+v, spool %+v", what, wait.Patience, z.part("connection"), z.part("spool"))
	}
}

func (z *zamqp) get(path string) (string, error) {
	resp, err := http.Get("http://" + z.address + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// post reports whether the call was answered as done.
func (z *zamqp) post(path, body string) (status int, err error) {
	resp, err := http.Post("http://"+z.address+path, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// spooled is what /readyz says of the spool.
func (z *zamqp) spooled() string { return z.part("spool").State }

// connected reports whether publishes go straight to the broker.
func (z *zamqp) connected() bool {
	return z.part("connection").State == "connected" && z.spooled() == "empty"
}

// part is what /readyz says of the first part of a kind; its state is what went
// wrong when there is none.
func (z *zamqp) part(kind string) publisher.Status {
	text, err := z.get("/readyz")
	if err != nil {
		return publisher.Status{State: err.Error()}
	}
	var report struct {
		Parts []publisher.Status `json:"parts"`
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return publisher.Status{State: text}
	}
	for _, p := range report.Parts {
		if p.Kind == kind {
			return p
		}
	}
	return publisher.Status{State: text}
}

// queued takes all messages out of a queue.
func queued(t *testing.T, url, queue string) (all []amqp.Delivery) {
	t.Helper()
	ch, done := amqpclient.Open(t, url)
	defer done()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range q.Messages {
		select {
		case d := <-deliveries:
			all = append(all, d)
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d messages of %s came", len(all), q.Messages, queue)
		}
	}
	return all
}

// writers post numbered bodies, one after the other, and note which were answered.
type writers struct {
	mu       sync.Mutex
	answered [][]string
	failures map[int]int
	stop     context.CancelFunc
	group    sync.WaitGroup
}

func (z *zamqp) write(n int) *writers {
	ctx, stop := context.WithCancel(context.Background())
	w := &writers{answered: make([][]string, n), failures: map[int]int{}, stop: stop}
	for i := range n {
		w.group.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				body := fmt.Sprintf("%d-%06d", i, k)
				status, err := z.post("/work", body)
				w.mu.Lock()
				if err == nil && status == 202 {
					w.answered[i] = append(w.answered[i], body)
				} else {
					if err != nil {
						status = 0
					}
					w.failures[status]++
				}
				w.mu.Unlock()
				if err != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	return w
}

func (w *writers) count() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range w.answered {
		n += len(list)
	}
	return n
}

// more waits until some more are answered.
func (z *zamqp) more100(w *writers) {
	z.t.Helper()
	from := w.count()
	z.until("calls are answered", func() bool { return w.count() >= from+100 })
}

func TestNothingAnsweredIsLost(t *testing.T) {
	node := rabbitmq.New(t)
	z := newZamqp(t, node.URL)
	z.start()
	z.until("it is connected", func() bool { status, err := z.post("/work", "first"); return err == nil && status == 202 })
	w := z.write(4)
	cycles := 2
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		cycles = 10
	}
	for cycle := range cycles {
		z.more100(w)
		if cycle%2 == 0 {
			node.Kill(t)
		} else {
			node.Stop(t)
		}
		z.more100(w)
		z.kill()
		z.start() // without a broker
		z.more100(w)
		if cycle == 1 {
			z.kill()
			z.start()
			z.more100(w)
		}
		node.Restart(t)
		z.more100(w)
		if cycle == 0 { // in the middle of emptying
			z.kill()
			z.start()
		}
	}
	z.more100(w)
	w.stop()
	w.group.Wait()
	z.until("the spool is empty", func() bool { return z.spooled() == "empty" })
	z.check(w, node.URL)
}

// check compares the answered publishes with those that have arrived, and returns how many
// unnecessary copies there are, and the most of one message.
func (z *zamqp) check(w *writers, url string) (twice, most int) {
	t := z.t
	ids := map[string]string{}
	place := map[string]int{}
	copies := map[string]int{}
	all := queued(t, url, "spool-work")
	for i, d := range all {
		body := string(d.Body)
		if id, known := ids[body]; known {
			twice++
			copies[body]++
			most = max(most, copies[body])
			if id != d.MessageId {
				t.Errorf("%s has come with the ids %q and %q", body, id, d.MessageId)
			}
			continue
		}
		if d.MessageId == "" {
			t.Errorf("%s has no message_id", body)
		}
		ids[body], place[body] = d.MessageId, i
	}
	answered, lost, disorder := 0, 0, 0
	for _, list := range w.answered {
		last := -1
		for _, body := range list {
			answered++
			at, ok := place[body]
			if !ok {
				lost++
				continue
			}
			if at < last {
				disorder++
			}
			last = at
		}
	}
	t.Logf("%d answered, %d arrived, %d of them twice; %v failed by status", answered, len(all), twice, w.failures)
	if lost > 0 || disorder > 0 || answered == 0 {
		t.Errorf("%d of %d answered were lost, %d are out of order", lost, answered, disorder)
	}
	return twice, most
}
