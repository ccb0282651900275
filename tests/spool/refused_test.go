package spool_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/rabbitmq"
)

func init() {
	publisher.Produce("nowhere", publisher.Producer{Exchange: "spool-nowhere", NoDeclare: true, Codec: "text"})
	publisher.Handle("POST /nowhere", func(r *publisher.Request) error {
		_ = r.Publish("nowhere", "to nobody", publisher.Key("k"))
		return r.Reply(202, nil)
	})
	publisher.Handle("POST /soon", func(r *publisher.Request) error {
		_ = r.Publish("work", "too late", publisher.Expiration(time.Millisecond))
		return r.Reply(202, nil)
	})
}

// gate is an address at which a broker can be found once it is opened.
type gate struct {
	t       *testing.T
	address string
	target  string
}

func newGate(t *testing.T, broker string) (g *gate, through string) {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g = &gate{t: t, address: ln.Addr().String(), target: u.Host}
	_ = ln.Close()
	u.Host = g.address
	return g, u.String()
}

func (g *gate) open() {
	ln, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.target)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}

// TestOneRefusedHoldsUpNobody: an exchange that does not exist closes the
// channel, and nobody can tell which of all publishes on it was meant.
func TestOneRefusedHoldsUpNobody(t *testing.T) {
	broker := rabbitmq.Start(t)
	ch, done := amqpclient.Open(t, broker)
	defer done()
	if _, err := ch.QueueDelete("spool-work", false, false, false); err != nil {
		t.Fatal(err)
	}
	g, through := newGate(t, broker)
	z := newZamqp(t, through)
	z.start()
	post := func(path, body string) {
		t.Helper()
		if status, err := z.post(path, body); status != 202 || err != nil {
			t.Fatalf("%s: %d, %v", path, status, err)
		}
	}
	want := ""
	for i := range 300 {
		switch i {
		case 50, 51, 120:
			post("/nowhere", "")
		case 60:
			post("/lost", "")
			want += "before after "
		case 70:
			post("/soon", "")
		}
		post("/work", fmt.Sprint(i))
		want += fmt.Sprint(i, " ")
	}
	g.open()
	z.until("four are aside", func() bool { return z.spooled() == "empty, 4 aside" })
	got := ""
	seen := map[string]bool{}
	for _, d := range queued(t, broker, "spool-work") {
		if !seen[d.MessageId] {
			seen[d.MessageId] = true
			got += string(d.Body) + " "
		}
	}
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	z.stop()
	out, err := z.run("spool", "list", "--no-body")
	if err != nil || strings.Count(out, "404 NOT_FOUND - no exchange 'spool-nowhere'") != 3 || strings.Count(out, "312 NO_ROUTE") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := ch.QueueDelete("spool-work", false, false, false); err != nil {
		t.Fatal(err)
	}
}
