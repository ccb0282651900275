package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// fromBrowser is what testdata/browser.html has posted.
type fromBrowser struct {
	Events   []string `json:"events"`
	Topic    string   `json:"topic"`
	Said     []string `json:"said"`
	Closed   int      `json:"closed"`
	Stranger int      `json:"stranger"`
}

var browserDone = make(chan fromBrowser, 1)

func init() {
	publisher.Handle("GET /browser/page", func(r *publisher.Request) error { return r.File("testdata/browser.html") })
	publisher.Handle("GET /browser/events", countOn)
	publisher.WebSocket("GET /browser/echo", echoUntilBye)
	publisher.Handle("POST /browser/done", func(r *publisher.Request) error {
		var got fromBrowser
		if err := r.Decode(&got); err != nil {
			return err
		}
		browserDone <- got
		return r.Reply(204, nil)
	})
}

// countOn sends two numbers after the last that the client has seen, and ends the stream.
func countOn(r *publisher.Request) error {
	last, _ := strconv.Atoi(r.Header("Last-Event-ID")) // 0 at first
	return r.Events(func(e *publisher.Events) error {
		for n := last + 1; n <= last+2; n++ {
			if err := e.Send(publisher.Event{ID: strconv.Itoa(n), Name: "count", Data: fmt.Sprint(n * n), Retry: 10 * time.Millisecond}); err != nil {
				return err
			}
		}
		return nil
	})
}

func echoUntilBye(ws *publisher.Socket) error {
	for {
		kind, message, err := ws.Read()
		if err != nil || string(message) == "bye" {
			return err
		}
		if err := ws.Write(kind, message); err != nil {
			return err
		}
	}
}

// TestBrowser: a real browser reconnects to a stream where it has ended, follows a topic,
// speaks over a WebSocket, and is refused one from another host's page.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (apt-get install chromium)")
	}
	s := start(t, embedded)
	dir, err := os.MkdirTemp("", "browser-")
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: processes of Chromium may still write there after its first one has ended.
	t.Cleanup(func() { wait.For(func() bool { return os.RemoveAll(dir) == nil }) })
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+dir, s.url+"/browser/page")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	var got fromBrowser
	wait.Until(t, "the page has posted what it got", func() bool {
		select {
		case got = <-browserDone:
			return true
		default:
			return false
		}
	})
	want := fromBrowser{
		Events: []string{"1=1", "2=4", "3=9", "4=16", "5=25", "6=36"},
		Topic:  "two\nlines",
		Said:   []string{"häuser:6", "octets 0,255", "xxxxxxxxxx:100000"},
		Closed: 1000, Stranger: 1006,
	}
	if !reflect.DeepEqual(got, want) {
		text, _ := os.ReadFile(log.Name())
		t.Errorf("the browser got %+v\nwant %+v\n%s", got, want, text)
	}
}
