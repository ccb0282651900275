package publisher_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zamqp/amqpproto"
	"zamqp/loop/coro"
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

// TestLargeBodiesAreHandledApart: work on all of a large body runs on another goroutine while
// the call waits: decoding, compression and decompression, even of a body that is small until
// it is decompressed.
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
	for _, row := range []apartRow{
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
		{"Publish of a string by a codec", publisher.Publishing{}, 1, func(r *publisher.Request) error {
			return r.Publish("out", text)
		}},
		{"Publish of ready JSON", publisher.Publishing{}, 1, func(r *publisher.Request) error {
			return r.Publish("out", json.RawMessage(list))
		}},
		{"Publish of a string as text", publisher.Publishing{}, 0, func(r *publisher.Request) error {
			return r.Publish("text", text)
		}},
		{"Reply of ready JSON", publisher.Publishing{ReplyTo: "q"}, 1, func(r *publisher.Request) error {
			return r.Reply(200, json.RawMessage(list))
		}},
		{"ReplyAs of a string", publisher.Publishing{ReplyTo: "q"}, 1, func(r *publisher.Request) error {
			return r.ReplyAs(200, "json", text)
		}},
		{"DecodeDelivery", publisher.Publishing{}, 1, func(r *publisher.Request) error {
			var parts []string
			if err := publisher.DecodeDelivery(&publisher.Delivery{ContentType: "application/json", Body: list}, &parts); err != nil {
				return err
			}
			return want(r, strings.Join(parts, "f"))
		}},
		{"DecodeDelivery of a small body", publisher.Publishing{}, 2, func(r *publisher.Request) error {
			var parts []string
			d := &publisher.Delivery{ContentType: "application/json", ContentEncoding: "gzip", Body: packed(t, string(list))}
			if err := publisher.DecodeDelivery(d, &parts); err != nil {
				return err
			}
			return want(r, strings.Join(parts, "f"))
		}},
		{"DecodeDelivery of kombu's compression", publisher.Publishing{}, 2, func(r *publisher.Request) error {
			var parts []string
			d := &publisher.Delivery{ContentType: "application/json", Headers: publisher.Table{"compression": "application/x-gzip"}, Body: packed(t, string(list))}
			if err := publisher.DecodeDelivery(d, &parts); err != nil {
				return err
			}
			return want(r, strings.Join(parts, "f"))
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
		row.try(t, text, string(list))
	}
}

// An apartRow is a handler that works on a large body.
type apartRow struct {
	name  string
	props publisher.Publishing
	apart int // pieces of work on another goroutine
	do    func(r *publisher.Request) error
}

// try runs the handler. What it sends is one of the bodies, or nothing.
func (row *apartRow) try(t *testing.T, bodies ...string) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Produce("ask", publisher.Producer{})
	b.reg.Produce("text", publisher.Producer{Codec: "text"})
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
		got := []byte(s.body)
		if z, err := gzip.NewReader(strings.NewReader(s.body)); err == nil {
			got, _ = io.ReadAll(z)
		}
		if len(got) > 0 && !slices.Contains(bodies, strings.Trim(string(got), `"`)) {
			t.Errorf("%s: another body was sent", row.name)
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
		{"ReplyAs", func(r *publisher.Request) error { return r.ReplyAs(200, "text", string(body)) }},
		{"ReplyAs of octets", func(r *publisher.Request) error { return r.ReplyAs(200, "text", body) }},
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

// TestLargeBodyIsNotWrittenOver: a large body may still be on its way to the broker when its
// call has got a timeout. What the call does next, such as sending an error reply, must not
// change it.
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
		for len(b.work) > 0 {
			b.offloaded()
		}
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

// TestErrorTextOfALargeBody: an error made from a body has only the beginning of a large one.
// It goes to the log and to others, and would be copied whole.
func TestErrorTextOfALargeBody(t *testing.T) {
	const most = 64<<10 + len("…")
	text := strings.Repeat("é", 3<<20)
	for _, row := range []struct {
		name string
		do   func(r *publisher.Request) error
	}{
		{"answer", func(r *publisher.Request) error { return r.Bytes(500, "text/plain", []byte(text)) }},
		{"answer of a call", func(r *publisher.Request) error {
			a, err := r.Call("ask", []byte(text))
			if a == nil || string(a.Body) != text {
				t.Error("the answer is not whole")
			}
			return err
		}},
	} {
		b := newBench(t)
		b.reg.Produce("ask", publisher.Producer{})
		b.reg.Consume("c", publisher.Consumer{}, row.do)
		b.start(publisher.Options{})
		b.server.Bind("ask", refusing{asked{b}})
		b.message("c", 1, publisher.Publishing{})
		b.ready()
		var status *publisher.StatusError
		if len(b.done) != 1 || !errors.As(b.last().Err, &status) {
			t.Fatalf("%s: %d calls are over, %v", row.name, len(b.done), b.last().Err)
		}
		if n := len(status.Text); n > most || n < most-10 || !utf8.ValidString(status.Text) || !strings.HasSuffix(status.Text, "é…") {
			t.Errorf("%s: a text of %d octets, want at most %d", row.name, n, most)
		}
	}
}

// refusing answers requests with their own body, as errors.
type refusing struct{ asked }

func (a refusing) Request(p *publisher.Publication, timeout time.Duration, done func(*publisher.Answer, error)) (func(), error) {
	return a.asked.Request(p, timeout, func(answer *publisher.Answer, err error) {
		answer.Status = 500
		done(answer, err)
	})
}

// encodedBy notes which goroutine encodes it.
type encodedBy struct{ who *uintptr }

func (e encodedBy) MarshalJSON() ([]byte, error) {
	*e.who = coro.Self()
	return []byte(`"value"`), nil
}

// TestMountedReplyEncodesWhereItIs: under HTTP an answer is encoded on the handler's
// goroutine, however large it becomes, and not on the loop.
func TestMountedReplyEncodesWhereItIs(t *testing.T) {
	for name, reply := range map[string]func(r *publisher.Request, v any) error{
		"Reply":   func(r *publisher.Request, v any) error { return r.Reply(200, v) },
		"ReplyAs": func(r *publisher.Request, v any) error { return r.ReplyAs(200, "json", v) },
	} {
		b := newBench(t)
		var here, there uintptr
		b.reg.Handle("/", publisher.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			here = coro.Self()
			if err := reply(publisher.FromContext(req.Context()), encodedBy{&there}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})))
		b.start(publisher.Options{})
		b.request("GET", "/", "", "")
		if o := b.over(1); o.status != 200 || o.body != `"value"` || here != there {
			t.Errorf("%s: %d %q, encoded on goroutine %#x, the handler's is %#x", name, o.status, o.body, there, here)
		}
	}
}
