package amqpdoor

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// story is the way of a message, without a broker: from its queue to a handler that fails,
// into a copy, and back.
type story struct {
	t testing.TB
	s *publisher.Server
}

// still is a loop on which no time passes.
type still struct{ publisher.Runtime }

func (still) Now() time.Time { return time.Unix(1e9, 0) }

func newStory(t testing.TB) *story {
	s, err := publisher.NewServer(publisher.NewRegistry(), nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(still{})
	return &story{t, s}
}

func (s *story) delivered(exchange, key string, raw, body []byte) (*publisher.Call, error) {
	r := s.s.NewCall()
	return r, r.SetMessage(&publisher.Message{Consumer: "c", Queue: "q", Exchange: []byte(exchange), RoutingKey: []byte(key), Properties: raw, Body: body})
}

// fails makes the retry copy of a message.
func (s *story) fails(r *publisher.Call, most int) (raw, body []byte) {
	s.t.Helper()
	p := copyOf(r.Message())
	p.headers[publisher.TraceAttempt] = int64(r.Message().History.Failed + 1)
	r.Outcome().Err = errors.New(strings.Repeat("it failed ", 300))
	p.failed(r, "")
	raw, prefix, err := p.encode(most)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes.Clone(raw), slices.Concat(prefix, r.Request().Body())
}

// dies adds what a broker does when the copy's time in the retry queue is over.
func (s *story) dies(raw []byte) []byte {
	s.t.Helper()
	var p amqpproto.Properties
	if rest, err := p.Decode(raw); err != nil || len(rest) > 0 || p.Headers.Validate() != nil {
		s.t.Fatal("the copy cannot be read")
	}
	row, err := amqpproto.AppendTable(nil, amqp.Table{"queue": "q.retry.1s", "reason": "expired", "count": int64(1), "exchange": "", "routing-keys": []any{"q.retry.1s"}})
	if err != nil {
		s.t.Fatal(err)
	}
	rows := amqpproto.AppendValue(nil, amqpproto.Field{Type: amqpproto.FieldTable, Raw: row})
	var headers []byte
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		if string(key) == "x-death" {
			rows = append(rows, v.Raw...)
		} else {
			headers = amqpproto.AppendField(headers, key, v)
		}
		return true
	})
	p.Headers = amqpproto.AppendField(headers, []byte("x-death"), amqpproto.Field{Type: amqpproto.FieldArray, Raw: rows})
	if raw, err = p.Append(nil); err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// pairs are the headers that no copy may lose, in some order.
func (s *story) pairs(raw []byte) (all []string) {
	var p amqpproto.Properties
	_, _ = p.Decode(raw)
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		switch name := string(key); {
		case strings.HasPrefix(name, "x-zamqp-") && name != publisher.TraceCC && name != publisher.TraceBCC, name == "x-death", name == "x-delivery-count", name == "x-acquired-count":
			return true
		case name == "CC":
			key = []byte(publisher.TraceCC)
		case name == "BCC":
			key = []byte(publisher.TraceBCC)
		}
		all = append(all, string(amqpproto.AppendField(nil, key, v)))
		return true
	})
	slices.Sort(all)
	return all
}

// others are the properties except headers, expiration and user id, which a copy has in its
// headers.
func (s *story) others(raw []byte) string {
	var p amqpproto.Properties
	_, _ = p.Decode(raw)
	p.Headers, p.Expiration = nil, nil
	p.Flags &^= amqpproto.FlagHeaders | amqpproto.FlagExpiration
	out, err := p.Append(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

func (s *story) run(raw, body []byte, most int) {
	r, err := s.delivered("e", "k", raw, body)
	if err != nil {
		s.unread(r, raw, body, most)
		return
	}
	if r.Request().Delivery() == nil {
		s.t.Fatal("no delivery")
	}
	// If somebody has put the message into an envelope before, this is the inside.
	first, was := bytes.Clone(r.Message().Properties), bytes.Clone(r.Request().Body())
	exchange, key := string(r.Message().Exchange), string(r.Message().RoutingKey)
	failed := r.Message().History.Failed
	for attempt := range 3 {
		raw, body := s.fails(r, most)
		if r, err = s.delivered("", "q", s.dies(raw), body); err != nil {
			s.t.Fatalf("attempt %d: %v", attempt, err)
		}
		m := r.Message()
		if !bytes.Equal(r.Request().Body(), was) || string(m.Exchange) != exchange || string(m.RoutingKey) != key {
			s.t.Fatalf("attempt %d: exchange %q, key %q, body %q", attempt, m.Exchange, m.RoutingKey, r.Request().Body())
		}
		if m.History.Failed != min(failed, 1<<30)+attempt+1 && failed < 1<<20 {
			s.t.Fatalf("attempt %d: %d have failed", attempt, m.History.Failed)
		}
		if got, want := s.pairs(m.Properties), s.pairs(first); !slices.Equal(got, want) {
			s.t.Fatalf("attempt %d: headers %q, want %q", attempt, got, want)
		}
		if got, want := s.others(m.Properties), s.others(first); got != want {
			s.t.Fatalf("attempt %d: properties %q, want %q", attempt, got, want)
		}
		if r.Request().Delivery() == nil || r.Request().Headers() == nil {
			s.t.Fatal("no delivery")
		}
	}
}

// unread is the way of a message that cannot be read: the envelope has all of it.
func (s *story) unread(r *publisher.Call, raw, body []byte, most int) {
	p := copyOf(r.Message())
	r.Outcome().Err = errors.New("malformed")
	p.failed(r, publisher.ReasonMalformed)
	outer, prefix, err := p.wrap(most, raw)
	if err != nil {
		s.t.Fatal(err)
	}
	inside, was, err := publisher.Unwrap(s.dies(outer), slices.Concat(prefix, body))
	if err == nil || !bytes.Equal(inside, raw) || !bytes.Equal(was, body) {
		s.t.Fatalf("%v: %q, %q", err, inside, was)
	}
	if d := r.Request().Delivery(); d == nil {
		s.t.Fatal("no delivery")
	}
}

// propertiesOf encodes properties with these headers.
func propertiesOf(t testing.TB, headers []byte) []byte {
	t.Helper()
	p := amqpproto.Properties{Headers: headers, ContentType: []byte("text/plain"), Expiration: []byte("5"), MessageID: []byte("m"), Priority: 3, Timestamp: 5}
	p.SetFlags()
	raw, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// copied are properties that contain everything that a copy might lose.
func copied(t testing.TB) map[string][]byte {
	table := func(headers amqp.Table) []byte {
		b, err := amqpproto.AppendTable(nil, headers)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	field := func(key string, f amqpproto.Field) []byte { return amqpproto.AppendField(nil, []byte(key), f) }
	deep := amqpproto.AppendValue(nil, amqpproto.Field{Type: amqpproto.FieldVoid})
	for range 100 {
		deep = amqpproto.AppendValue(nil, amqpproto.Field{Type: amqpproto.FieldArray, Raw: deep})
	}
	own := amqp.Table{"queue": "q", "reason": "rejected", "count": int64(2)}
	return map[string][]byte{
		"none":             {0, 0},
		"plain":            propertiesOf(t, table(amqp.Table{"a": "b", "n": int32(1), "list": []any{"x", int64(2)}, "table": amqp.Table{"deep": nil}})),
		"large":            propertiesOf(t, table(amqp.Table{"big": strings.Repeat("h", 5000)})),
		"twice":            propertiesOf(t, append(table(amqp.Table{"a": "first"}), table(amqp.Table{"a": "second"})...)),
		"another int64":    propertiesOf(t, field("L", amqpproto.Field{Type: amqpproto.FieldInt64Alt, Raw: []byte("12345678")})),
		"copies to others": propertiesOf(t, table(amqp.Table{"CC": []any{"x"}, "BCC": []any{"y"}})),
		"bad UTF-8":        propertiesOf(t, table(amqp.Table{"\xff\xfe": "\xc3\x28"})),
		"deaths":           propertiesOf(t, table(amqp.Table{"x-death": []any{own, amqp.Table{"queue": "other", "reason": "expired"}}})),
		"too deep":         propertiesOf(t, field("deep", amqpproto.Field{Type: amqpproto.FieldArray, Raw: deep})),
		"unknown type":     propertiesOf(t, []byte("\x01aZ")),
		"cut short":        propertiesOf(t, []byte("\x01aS\x00\x00\x00\x09x")),
		"no properties":    {0xff},
		"unknown flags":    {0, 3},
	}
}

func TestCopiesLoseNothing(t *testing.T) {
	for name, raw := range copied(t) {
		for _, most := range []int{deathRoom - 100, 4096 - amqpproto.ContentHeaderOverhead, 1 << 17} {
			t.Run(name, func(t *testing.T) { newStory(t).run(raw, []byte("body"), most) })
		}
	}
}

// TestCopyToOthersComesBack: the handler sees the header CC at each attempt.
func TestCopyToOthersComesBack(t *testing.T) {
	s := newStory(t)
	r, err := s.delivered("e", "k", copied(t)["copies to others"], nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, body := s.fails(r, 1<<17)
	if bytes.Contains(raw, []byte("\x02CC")) {
		t.Errorf("the broker would copy it: %q", raw)
	}
	if r, err = s.delivered("", "q", raw, body); err != nil {
		t.Fatal(err)
	}
	if h := r.Request().Delivery().Headers; len(h["CC"].([]any)) != 1 || h[publisher.TraceCC] != nil {
		t.Errorf("%v", h)
	}
}

// FuzzRetry takes any properties on the way from delivery to failure, to the retry
// copy, and back: nothing is lost, in the message's own frames and in an envelope.
func FuzzRetry(f *testing.F) {
	for _, raw := range copied(f) {
		f.Add(raw, []byte("body"), uint16(100))
		f.Add(raw, []byte(""), uint16(60000))
	}
	f.Add(propertiesOf(f, []byte("\x10x-zamqp-envelopeI\x00\x00\x00\x01")), append(publisher.AppendEnvelope(nil, []byte{0, 0}), "inside"...), uint16(4096))
	f.Fuzz(func(t *testing.T, raw, body []byte, most uint16) { newStory(t).run(raw, body, int(most)) })
}
