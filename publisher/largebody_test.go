package publisher_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// asked answers each request of a call with its own body, later.
type asked struct{ *bench }

func (a asked) Request(p *publisher.Publication, _ time.Duration, done func(*publisher.Answer, error)) (func(), error) {
	body := p.Body
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) && len(body) > amqpproto.LargeBody {
		body = bytes.Clone(body)
	}
	var props amqpproto.Properties
	if _, err := props.Decode(p.RawProperties); err != nil {
		a.t.Error(err)
	}
	encoding := string(props.ContentEncoding)
	a.Post(func() {
		done(&publisher.Answer{Status: 200, ContentType: "text/plain", Encoding: encoding, Body: body}, nil)
	})
	return func() {}, nil
}

// TestLargeBodiesAreHandledApart: what goes through all of a large body runs on
// another goroutine while the call waits: decoding, compression and its opposite,
// also of a body that is small until it is decompressed.
func TestLargeBodiesAreHandledApart(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 5<<20/16)
	list, err := json.Marshal(strings.Split(text, "f"))
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 3<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	want := func(r *publisher.Request, got string) error {
		if got != text {
			return fmt.Errorf("another body, of %d octets", len(got))
		}
		return r.Reply(200, nil)
	}
	for _, row := range []struct {
		name  string
		props publisher.Publishing
		apart int // pieces of work
		do    func(r *publisher.Request) error
	}{
		{"Decode", publisher.Publishing{ContentType: "application/json", Body: list}, 1, func(r *publisher.Request) error {
			var parts []string
			if err := r.Decode(&parts); err != nil {
				return err
			}
			return want(r, strings.Join(parts, "f"))
		}},
		{"Content", publisher.Publishing{ContentEncoding: "gzip", Body: packed(t, string(noise))}, 1, func(r *publisher.Request) error {
			b, err := r.Content()
			if err == nil && !bytes.Equal(b, noise) {
				err = fmt.Errorf("another body, of %d octets", len(b))
			}
			return err
		}},
		{"Content of a small body", publisher.Publishing{ContentEncoding: "gzip", Body: packed(t, text)}, 1, func(r *publisher.Request) error {
			b, err := r.Content()
			if err != nil {
				return err
			}
			return want(r, string(b))
		}},
		{"Content of zstd that looks back", publisher.Publishing{ContentEncoding: "zstd", Body: compressed(t, text, zstdWriter)}, 1, func(r *publisher.Request) error {
			b, err := r.Content()
			if err != nil {
				return err
			}
			return want(r, string(b))
		}},
		{"Decode of a small body", publisher.Publishing{ContentType: "application/json", ContentEncoding: "gzip", Body: packed(t, string(list))}, 2, func(r *publisher.Request) error {
			var parts []string
			if err := r.Decode(&parts); err != nil {
				return err
			}
			return want(r, strings.Join(parts, "f"))
		}},
		{"Publish of octets with gzip", publisher.Publishing{}, 1, func(r *publisher.Request) error {
			return r.Publish("out", []byte(text), publisher.Gzip(true))
		}},
		{"Publish of a value with gzip", publisher.Publishing{}, 1, func(r *publisher.Request) error {
			return r.Publish("out", text, publisher.Gzip(true))
		}},
		{"Call with gzip, and its answer", publisher.Publishing{}, 3, func(r *publisher.Request) error {
			a, err := r.Call("ask", text, publisher.ContentType("text/plain"), publisher.Gzip(true))
			if err != nil {
				return err
			}
			var got string
			if err := a.Decode(&got); err != nil {
				return err
			}
			return want(r, got)
		}},
	} {
		b := newBench(t)
		b.reg.Produce("out", publisher.Producer{})
		b.reg.Produce("ask", publisher.Producer{})
		var failed error
		b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { failed = row.do(r); return failed })
		b.start(publisher.Options{})
		b.server.Bind("ask", asked{b})
		b.message("c", 1, row.props)
		apart := 0
		for ; len(b.work) > 0; apart++ {
			if len(b.done)+len(b.sent) > 0 {
				t.Errorf("%s: the call did not wait", row.name)
			}
			b.offloaded()
		}
		for n := range b.sent {
			b.confirm(n, nil)
		}
		if apart != row.apart || failed != nil || len(b.done) != 1 || b.last().Settlement != publisher.SettleAck {
			t.Errorf("%s: %d pieces of work, want %d; %v, %d calls are over", row.name, apart, row.apart, failed, len(b.done))
		}
		for _, s := range b.sent {
			z, err := gzip.NewReader(strings.NewReader(s.body))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(z); strings.Trim(string(got), `"`) != text {
				t.Errorf("%s: another body was sent", row.name)
			}
		}
	}
}

// TestLargeBodiesAreCopiedInPieces: between two megabytes of a copy others have a turn.
func TestLargeBodiesAreCopiedInPieces(t *testing.T) {
	const size = 8 << 20
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	same := func(what string, got []byte) error {
		if !bytes.Equal(got, body) {
			return fmt.Errorf("%s: %d octets, or others", what, len(got))
		}
		return nil
	}
	for _, row := range []struct {
		name string
		do   func(r *publisher.Request) error
	}{
		{"Publish", func(r *publisher.Request) error { return r.Publish("out", body) }},
		{"Call", func(r *publisher.Request) error {
			a, err := r.Call("ask", body)
			if err != nil {
				return err
			}
			return same("answer", a.Body)
		}},
		{"Bytes", func(r *publisher.Request) error { return r.Bytes(200, "", body) }},
		{"Text", func(r *publisher.Request) error { return r.Text(200, string(body)) }},
		{"Delivery", func(r *publisher.Request) error { return same("delivery", r.Delivery().Body) }},
	} {
		b := newBench(t)
		b.reg.Produce("out", publisher.Producer{})
		b.reg.Produce("ask", publisher.Producer{})
		var failed error
		over := false
		b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { failed = row.do(r); over = true; return failed })
		b.start(publisher.Options{})
		b.server.Bind("ask", asked{b})
		turns := 0
		b.message("c", 1, publisher.Publishing{Body: body, ReplyTo: "q"})
		for ; !over && turns < 1000; turns++ {
			select {
			case fn := <-b.posted:
				fn()
				b.server.RunReady()
			default:
				t.Fatalf("%s: it hangs", row.name)
			}
		}
		if turns < size>>20-1 || failed != nil {
			t.Errorf("%s: %d megabytes in %d turns, %v", row.name, size>>20, turns, failed)
		}
	}
}

// TestLargeBodyIsNotWrittenOver: a large body may still be on its way to the broker
// when its call has been told of a timeout. What the call does next, as to send an
// error reply, must not change it.
func TestLargeBodyIsNotWrittenOver(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 2<<20/16)
	for _, row := range []struct {
		name string
		do   func(r *publisher.Request) error
	}{
		{"encoded", func(r *publisher.Request) error { return r.Publish("out", text) }},
		{"reply", func(r *publisher.Request) error { return r.Text(200, text) }},
	} {
		b := newBench(t)
		b.reg.Produce("out", publisher.Producer{})
		b.reg.Consume("c", publisher.Consumer{Retry: publisher.Retry{Attempts: -1}}, row.do)
		b.start(publisher.Options{})
		b.message("c", 1, publisher.Publishing{ReplyTo: "q"})
		b.ready()
		large := func() bool { return len(b.bodies) > 0 && strings.Trim(string(b.bodies[0]), `"`) == text }
		if !large() {
			t.Fatalf("%s: nothing large was sent", row.name)
		}
		for n := 0; n < len(b.sent); n++ {
			b.confirm(n, publisher.Permanent(fmt.Errorf("no confirm in time")))
		}
		if len(b.sent) < 2 {
			t.Fatalf("%s: no error reply was sent\n%s", row.name, b.log.String())
		}
		if !large() {
			t.Errorf("%s: the body that was sent has changed", row.name)
		}
	}
}
