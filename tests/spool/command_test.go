package spool_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"zamqp/tests/kit/rabbitmq"
)

func TestSpoolCommands(t *testing.T) {
	node := rabbitmq.New(t)
	z := newZamqp(t, node.URL)
	z.start()
	z.until("it is connected", z.connected)
	if status, err := z.post("/work", "first"); status != 202 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	// While the broker is there, its answer is the answer.
	if status, err := z.post("/lost", ""); status != 503 || err != nil {
		t.Errorf("unroutable: %d, %v", status, err)
	}
	node.Stop(t)
	z.until("it takes calls", func() bool { status, _ := z.post("/work", "second"); return status == 202 })
	if status, err := z.post("/lost", ""); status != 202 || err != nil {
		t.Errorf("with the broker away: %d, %v", status, err)
	}
	if text, _ := z.get("/readyz"); !strings.Contains(text, `"ready":true`) {
		t.Errorf("readyz: %s", text)
	}
	if out, err := z.run("spool", "list"); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("while it runs: %v, %s", err, out)
	}
	z.kill()
	out, err := z.run("spool", "list")
	if err != nil || !strings.Contains(out, "to leave") || !strings.Contains(out, `queue "spool-nobody"`) || strings.Contains(out, "aside:") {
		t.Errorf("%v\n%s", err, out)
	}
	node.Restart(t)
	z.start()
	z.until("one is aside", func() bool { return z.spooled() == "empty, 1 aside" })
	z.kill()
	out, err = z.run("spool", "list", "--json")
	if err != nil || !strings.Contains(out, "312 NO_ROUTE") || !strings.Contains(out, `"body":"nobody"`) {
		t.Errorf("%v\n%s", err, out)
	}
	// Its queue is declared, and the message is sent again.
	if out, err := z.run("publish", "-q", "spool-nobody", "--declare", "x"); err != nil {
		t.Fatal(out)
	}
	if out, err := z.run("spool", "retry", "--all"); err != nil || !strings.Contains(out, "1 message") {
		t.Errorf("%v\n%s", err, out)
	}
	z.start()
	z.until("all has left", func() bool { return z.spooled() == "empty" })
	z.stop()
	var bodies []string
	for _, d := range append(queued(t, node.URL, "spool-work"), queued(t, node.URL, "spool-nobody")...) {
		bodies = append(bodies, string(d.Body))
	}
	text := strings.Join(bodies, " ")
	if !strings.HasSuffix(text, "second before after x nobody") {
		t.Errorf("%s", text)
	}
	if out, err := z.run("spool", "drop", "--all"); err != nil || !strings.Contains(out, "0 messages") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFullSpoolIsAnError(t *testing.T) {
	z := newZamqp(t, "amqp://guest:guest@127.0.0.1:1/", "connection.default.spool_max=20KiB")
	z.start()
	answered := 0
	for range 1000 {
		status, err := z.post("/work", strings.Repeat("x", 100))
		if err != nil {
			t.Fatal(err)
		}
		if status == 503 {
			break
		}
		answered++
	}
	if answered < 50 || answered > 150 {
		t.Errorf("%d fit into 20 KiB", answered)
	}
	resp, err := http.Post("http://"+z.address+"/work", "text/plain", strings.NewReader(strings.Repeat("x", 100)))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	z.until("the log says why", func() bool {
		log, _ := os.ReadFile(z.log.Name())
		return bytes.Contains(log, []byte("the spool is full"))
	})
	z.kill()
	out, err := z.run("spool", "list")
	if err != nil || !strings.Contains(out, fmt.Sprintf("%d messages", answered)) {
		t.Errorf("%d answered: %v\n%.300s", answered, err, out)
	}
	if out, err := z.run("spool", "drop", "--all"); err != nil || !strings.Contains(out, fmt.Sprintf("%d messages dropped", answered)) {
		t.Errorf("%v\n%.300s", err, out)
	}
	z.start()
	if status, err := z.post("/work", "fits"); status != 202 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
}
