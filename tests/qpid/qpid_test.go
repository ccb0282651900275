// Package qpid_test runs the server and its commands with Qpid Broker-J, a broker
// that has none of RabbitMQ's extensions.
package qpid_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/qpid"
	"zamqp/tests/kit/wait"
)

// site is a built server beside Qpid.
type site struct {
	t        *testing.T
	bin, url string
	http     string
	log      *os.File
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, url: qpid.Start(t), bin: filepath.Join(t.TempDir(), "zamqp")}
	if out, err := exec.Command("go", "build", "-o", s.bin, "zamqp").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s.http = process.FreeAddress(t)
	var err error
	if s.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.bin, "serve", "-o", "http.listen="+s.http)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.TempDir(), s.env(), s.log, s.log
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error("serve ends with", err)
		}
		if t.Failed() {
			t.Log(s.said())
		}
	})
	s.until("ready", func() bool { return strings.Contains(s.get("/readyz"), `"ready":true`) })
	return s
}

// env is the test's own environment without the names that the server would
// read as settings: the run of all tests sets some of its own.
func (s *site) env() []string {
	return process.Environment("ZAMQP_CONNECTION__DEFAULT__URL=" + s.url)
}

func (s *site) said() string {
	text, _ := os.ReadFile(s.log.Name())
	return string(text)
}

func (s *site) until(what string, done func() bool) {
	s.t.Helper()
	if !wait.For(done) {
		s.t.Fatalf("%s did not happen:\n%s", what, s.said())
	}
}

func (s *site) get(path string) string {
	response, err := http.Get("http://" + s.http + path)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// run runs a command of the binary to its end.
func (s *site) run(args ...string) (out string, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Env = s.env()
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (s *site) want(want string, args ...string) {
	s.t.Helper()
	if out, err := s.run(args...); err != nil || !strings.Contains(out, want) {
		s.t.Errorf("%v: %v\n%s\nwant …%s…", args, err, out, want)
	}
}

// TestServerBesideQpid: handlers and commands work on a broker that has AMQP
// 0-9-1 and nothing else.
func TestServerBesideQpid(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Java virtual machine")
	}
	s := newSite(t)
	s.until("the log says what this broker lacks", func() bool {
		return strings.Contains(s.said(), "Apache Qpid Broker-J Core") && strings.Contains(s.said(), "direct reply-to (a queue takes its place)")
	})
	s.order()
	s.want("Hello, Bob!", "call", "--queue", "zamqp-demo.hello", "Hello, Bob!")
	if out, err := s.run("publish", "--queue", "zamqp-demo.hello", "--expiration", "1m", "late"); err == nil || !strings.Contains(out, "leave it out") {
		t.Errorf("an expiration: %v\n%s", err, out)
	}
	s.tap()
	s.dead()
	s.want("billing.quarantine", "check", "--broker")
	if out, err := s.run("check", "--broker", "-o", "consumer.hello.queue_type=quorum"); err == nil || !strings.Contains(out, "x-queue-type is one of RabbitMQ's") {
		t.Errorf("a quorum queue: %v\n%s", err, out)
	}
}

// order goes through HTTP, a confirmed publish, and a consumer.
func (s *site) order() {
	s.t.Helper()
	response, err := http.Post("http://"+s.http+"/orders", "application/json", strings.NewReader(`{"item": "book"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var receipt struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&receipt); err != nil || response.StatusCode != 202 {
		s.t.Fatal(response.Status, err)
	}
	s.until("the order's message", func() bool { return strings.Contains(s.get("/orders/"+receipt.ID), `"seen":1`) })
}

// tap sees a message that passes.
func (s *site) tap() {
	s.t.Helper()
	cmd := exec.Command(s.bin, "tap", "--exchange", "zamqp-demo.orders", "--count", "1")
	var out bytes.Buffer
	cmd.Env, cmd.Stdout = s.env(), &out
	progress, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if _, err := progress.Read(make([]byte, 1024)); err != nil { // it taps now
		s.t.Fatal(err)
	}
	s.want("confirmed by the broker", "publish", "--exchange", "zamqp-demo.orders", "--key", "zamqp-demo.order.created", "--content-type", "application/json", `{"id": "tapped"}`)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "tapped") {
		s.t.Errorf("tap: %v\n%s", err, out.String())
	}
}

// dead goes through the life of a dead letter.
func (s *site) dead() {
	s.t.Helper()
	s.want("confirmed by the broker", "publish", "--exchange", "zamqp-demo.orders", "--key", "zamqp-demo.order.created", "--content-type", "application/json", `nonsense{`)
	s.until("the dead letter", func() bool {
		out, err := s.run("dead", "list", "billing")
		return err == nil && strings.Contains(out, "1 message")
	})
	s.want("nonsense{", "dead", "show", "billing")
	s.want("1 message", "dead", "retry", "billing", "--all")
	s.until("its second death", func() bool {
		out, _ := s.run("dead", "list", "billing")
		return strings.Contains(out, "1 message")
	})
	s.want("1 message", "dead", "drop", "billing", "--all")
	s.want("0 messages", "dead", "list", "billing")
}
