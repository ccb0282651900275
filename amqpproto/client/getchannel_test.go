package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

func TestGetUnderAnyChunking(t *testing.T) {
	wiretest.Seeds(t, 8, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{})
		if err := f.client.Get("q", false, nil); err == nil || !strings.Contains(err.Error(), "is not open") {
			t.Fatal(err)
		}
		f.connect()
		bodies := map[string][]string{"q": {"one", strings.Repeat("2", 9000), ""}, "r": {"other"}}
		f.broker.gets = func(queue string) (body string, ok bool) {
			if list := bodies[queue]; len(list) > 0 {
				bodies[queue] = list[1:]
				return list[0], true
			}
			return "", false
		}
		var got []string
		var held []client.Delivery
		for i, queue := range []string{"q", "r", "q", "q", "q", "r"} {
			must(t, f.client.Get(queue, i == 2, func(d *client.Delivery, err error) {
				must(t, err)
				if d == nil {
					got = append(got, queue+" empty")
					return
				}
				got = append(got, fmt.Sprint(queue, " ", len(d.Body)))
				held = append(held, client.Delivery{Acknowledger: d.Acknowledger, Epoch: d.Epoch, Tag: d.Tag})
				if d.Consumer != nil || string(d.RoutingKey) != queue {
					t.Error(d)
				}
			}))
		}
		if len(got) != 0 {
			t.Fatal("told inside of Get")
		}
		f.run()
		slices.Sort(got)
		if want := []string{"q 0", "q 3", "q 9000", "q empty", "r 5", "r empty"}; !slices.Equal(got, want) {
			t.Fatal(got)
		}
		for _, d := range held {
			d.Acknowledger.Ack(d.Epoch, d.Tag)
			d.Acknowledger.Ack(d.Epoch, d.Tag)
		}
		f.run()
		if len(f.broker.acks) == 0 || f.client.Stats().Acked != 3 || f.client.Stats().DoubleSettled != 5 || f.client.Stats().Gets != 4 {
			t.Fatalf("%v %+v", f.broker.acks, f.client.Stats())
		}
		// The channels are closed when nobody has used them for a while, and opened again.
		open := len(f.broker.asm)
		f.clock.Advance(40 * time.Second)
		if len(f.broker.asm) != open-2 {
			t.Fatalf("%d channels, were %d", len(f.broker.asm), open)
		}
		must(t, f.client.Get("q", false, func(d *client.Delivery, err error) { got = append(got, fmt.Sprint("late ", d, err)) }))
		f.run()
		if got[len(got)-1] != "late <nil> <nil>" {
			t.Fatal(got)
		}
	})
}

// TestGetChannelsAreBounded: queues with a name each take a channel each, up to a
// bound; idle ones make room.
func TestGetChannelsAreBounded(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	refused, told := 0, 0
	for i := range 100 {
		if err := f.client.Get(fmt.Sprint("q", i), false, func(*client.Delivery, error) { told++ }); errors.Is(err, client.ErrBusy) {
			refused++
		}
	}
	f.run()
	if refused != 36 || told != 64 {
		t.Fatal(refused, told)
	}
	for i := range 100 {
		must(t, f.client.Get(fmt.Sprint("q", i), false, func(*client.Delivery, error) { told++ }))
		f.run()
	}
	if told != 164 || len(f.broker.asm) > 66 {
		t.Fatal(told, len(f.broker.asm))
	}
}

func TestGetAndQuestionErrors(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.broker.gets = func(string) (string, bool) { return "x", true }
	f.broker.on[amqpproto.IDBasicGet] = func(ch uint16, m amqpproto.Method) bool {
		if string(m.(*amqpproto.BasicGet).Queue) != "none" {
			return false
		}
		f.broker.closeChannel(ch, 404, "NOT_FOUND - no queue 'none'")
		return true
	}
	f.broker.on[amqpproto.IDQueueDeclare] = func(ch uint16, m amqpproto.Method) bool {
		d := m.(*amqpproto.QueueDeclare)
		switch string(d.Queue) {
		case "none":
			f.broker.closeChannel(ch, 404, "NOT_FOUND - no queue 'none'")
		case "silent":
		default:
			f.broker.say(ch, &amqpproto.QueueDeclareOk{Queue: d.Queue, MessageCount: 5, ConsumerCount: 6})
		}
		return true
	}
	var got []string
	note := func(what string) func(error) {
		return func(err error) { got = append(got, fmt.Sprint(what, ": ", err)) }
	}
	var kept client.Delivery
	must(t, f.client.Get("q", false, func(d *client.Delivery, err error) {
		kept = client.Delivery{Acknowledger: d.Acknowledger, Epoch: d.Epoch, Tag: d.Tag}
		note("get")(err)
	}))
	must(t, f.client.Get("none", false, func(d *client.Delivery, err error) { note("none")(err) }))
	must(t, f.client.QueueInfo("none", func(_, _ uint32, err error) { note("info")(err) }))
	top := queue("none")
	must(t, f.client.Declare(&top, func(_ []string, err error) { note("declare")(err) }))
	must(t, f.client.QueueInfo("q", func(m, c uint32, err error) { note(fmt.Sprint("info ", m, " ", c))(err) }))
	f.run()
	all := strings.Join(got, "\n")
	for _, want := range []string{"get: <nil>", "none: amqp: channel", "info: amqp: channel", `declare: queue.declare "none"`, "it does not exist", "info 5 6: <nil>"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	kept.Acknowledger.Ack(kept.Epoch, kept.Tag) // the others' errors took nothing from it
	f.run()
	if len(f.broker.acks) != 1 {
		t.Fatal(f.broker.acks)
	}
	long := strings.Repeat("x", 256)
	if f.client.Get(long, false, nil) == nil || f.client.QueueInfo(long, nil) == nil {
		t.Fatal("a name that no frame takes")
	}
	// Bad names inside of a topology are found when they are encoded.
	got = nil
	top = queue(long)
	must(t, f.client.Declare(&top, func(_ []string, err error) { note("declare")(err) }))
	f.run()
	if len(got) != 1 || !strings.Contains(got[0], "255") {
		t.Fatal(got)
	}
	// Without an answer the channel is given up, and the next request is sent on a new one.
	got = nil
	must(t, f.client.QueueInfo("silent", func(_, _ uint32, err error) { note("silent")(err) }))
	must(t, f.client.QueueInfo("q", func(_, _ uint32, err error) { note("q")(err) }))
	f.run()
	for range 4 {
		f.clock.Advance(10 * time.Second)
		f.broker.script.Say(amqpproto.AppendHeartbeat(nil)...)
		f.run()
	}
	if len(got) != 2 || !strings.Contains(got[0], "no answer within 30s") || got[1] != "q: <nil>" {
		t.Fatal(got)
	}
	// The end of the connection ends all of them.
	got = nil
	must(t, f.client.QueueInfo("silent", func(_, _ uint32, err error) { note("silent")(err) }))
	must(t, f.client.QueueInfo("q", func(_, _ uint32, err error) { note("q")(err) }))
	must(t, f.client.Get("q", false, func(d *client.Delivery, err error) { note("get")(err) }))
	f.link.Cut(errors.New("pulled"))
	if len(got) != 3 || strings.Count(strings.Join(got, " "), "pulled") != 3 {
		t.Fatal(got)
	}
}

func TestUpdateSecret(t *testing.T) {
	f := newFixture(t, 0, client.Config{Password: "old", Username: "u"})
	f.client.UpdateSecret("new")
	var login string
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDConnectionStartOk] = func(_ uint16, m amqpproto.Method) bool {
			login = string(m.(*amqpproto.ConnectionStartOk).Response)
			return false
		}
		b.on[amqpproto.IDConnectionOpen] = func(uint16, amqpproto.Method) bool {
			if f.client.State() == client.Connecting && len(f.broker.secrets) == 0 {
				f.client.UpdateSecret("newer") // in the middle of the handshake
			}
			return false
		}
	}
	f.connect()
	f.client.UpdateSecret("newer")
	f.client.UpdateSecret("newest")
	f.run()
	if login != "\x00u\x00new" || !slices.Equal(f.broker.secrets, []string{"newer", "newest"}) || f.count(client.EventSecretUpdated) != 2 {
		t.Fatal(login, f.broker.secrets, f.events)
	}
	f.broker.say(0, &amqpproto.ConnectionUpdateSecretOk{})
	f.run()
	connectionError(t, f.client.Err(), amqpproto.CommandInvalid)
	f.clock.Advance(3 * time.Second)
	if login != "\x00u\x00newest" {
		t.Fatal(login)
	}
}
