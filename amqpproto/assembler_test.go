package amqpproto_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/amqpproto"
)

// header is the payload of a content header frame.
func header(class, weight byte, size uint64, props string) string {
	return string([]byte{0, class, 0, weight, byte(size >> 56), byte(size >> 48), byte(size >> 40), byte(size >> 32),
		byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}) + props
}

// step is one frame for an Assembler: m a method by id, h a header, b a body.
type step struct {
	kind    byte
	id      amqpproto.MethodID
	payload string
}

func m(id amqpproto.MethodID) step { return step{kind: 'm', id: id} }
func h(payload string) step        { return step{kind: 'h', payload: payload} }
func b(payload string) step        { return step{kind: 'b', payload: payload} }

// assemble runs the steps and returns the contents, and the error that ended it.
func assemble(a *amqpproto.Assembler, steps ...step) (contents []string, err error) {
	for _, s := range steps {
		switch s.kind {
		case 'm':
			err = a.Begin(s.id)
		case 'h':
			err = a.Header([]byte(s.payload))
		case 'b':
			var done bool
			done, err = a.Body([]byte(s.payload))
			if err == nil && done != a.Done() {
				return contents, errors.New("Body and Done disagree")
			}
		}
		if err != nil {
			return contents, err
		}
		if a.Done() == a.Busy() && s.kind != 'm' {
			return contents, errors.New("Done and Busy agree")
		}
		if a.Done() {
			c := a.Content()
			contents = append(contents, fmt.Sprintf("%s %d/%d %q %q", c.Method, c.Class, c.BodySize, c.RawProperties, c.Body))
		}
	}
	return contents, nil
}

func TestAssembler(t *testing.T) {
	deliver, props := amqpproto.IDBasicDeliver, "\x80\x00\x01t"
	for _, row := range []struct {
		name, spec string
		steps      []step
		want       string
		code       uint16
	}{
		{"one frame", "§4.2.6", []step{m(deliver), h(header(60, 0, 5, props)), b("hello")}, `basic.deliver 60/5 "\x80\x00\x01t" "hello"`, 0},
		{"two frames", "§4.2.6", []step{m(amqpproto.IDBasicPublish), h(header(60, 0, 5, props)), b("hel"), b("lo")}, `basic.publish 60/5 "\x80\x00\x01t" "hello"`, 0},
		{"empty body has no frame", "§4.2.6", []step{m(amqpproto.IDBasicGetOk), h(header(60, 0, 0, "\x00\x00"))}, `basic.get-ok 60/0 "\x00\x00" ""`, 0},
		{"empty frames within", "RabbitMQ", []step{m(amqpproto.IDBasicReturn), h(header(60, 0, 2, "\x00\x00")), b(""), b("o"), b(""), b("k")}, `basic.return 60/2 "\x00\x00" "ok"`, 0},
		{"empty frame first, then all", "RabbitMQ", []step{m(deliver), h(header(60, 0, 2, "\x00\x00")), b(""), b("ok")}, `basic.deliver 60/2 "\x00\x00" "ok"`, 0},
		{"several contents", "§4.2.6", []step{
			m(deliver), h(header(60, 0, 4, "\x00\x00")), b("on"), b("e!"), m(amqpproto.IDBasicAck),
			m(deliver), h(header(60, 0, 2, "\x00\x00")), b("tw")},
			`basic.deliver 60/4 "\x00\x00" "one!", basic.deliver 60/2 "\x00\x00" "tw"`, 0},
		{"methods without content", "§4.2.6", []step{m(amqpproto.IDQueueDeclareOk), m(amqpproto.IDBasicAck)}, "", 0},

		{"header without method", "§4.2.6.2", []step{h(header(60, 0, 1, "\x00\x00"))}, "", 505},
		{"header after another method", "§4.2.6.2", []step{m(amqpproto.IDBasicAck), h(header(60, 0, 1, "\x00\x00"))}, "", 505},
		{"body without method", "§4.2.6.2", []step{b("x")}, "", 505},
		{"body without header", "§4.2.6.2", []step{m(deliver), b("x")}, "", 505},
		{"body after an empty content", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 0, "\x00\x00")), b("")}, `basic.deliver 60/0 "\x00\x00" ""`, 505},
		{"body after the last", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 1, "\x00\x00")), b("x"), b("y")}, `basic.deliver 60/1 "\x00\x00" "x"`, 505},
		{"second header", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 1, "\x00\x00")), h(header(60, 0, 1, "\x00\x00"))}, "", 505},
		{"method for header", "§4.2.6.2", []step{m(deliver), m(deliver)}, "", 505},
		{"method for body", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 2, "\x00\x00")), b("x"), m(amqpproto.IDBasicAck)}, "", 505},
		{"header of another class", "§4.2.6.1", []step{m(deliver), h(header(50, 0, 1, "\x00\x00"))}, "", 505},
		{"body longer than declared", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 2, "\x00\x00")), b("xyz")}, "", 501},
		{"bodies longer than declared", "§4.2.6.2", []step{m(deliver), h(header(60, 0, 2, "\x00\x00")), b("x"), b("yz")}, "", 501},
		{"header cut", "§4.2.6.1", []step{m(deliver), h(header(60, 0, 1, "\x00"))}, "", 501},
		{"header with weight", "§4.2.6.1", []step{m(deliver), h(header(60, 1, 1, "\x00\x00"))}, "", 501},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := &amqpproto.Assembler{}
			have, err := assemble(a, row.steps...)
			wantCode(t, err, row.code)
			if s := strings.Join(have, ", "); s != row.want {
				t.Fatalf("have %s\nwant %s (%s)", s, row.want, row.spec)
			}
			// An error resets: the next content is whole.
			have, err = assemble(a, m(deliver), h(header(60, 0, 2, "\x00\x00")), b("ok"))
			if err != nil || len(have) != 1 {
				t.Fatalf("afterwards: %v, %v", have, err)
			}
		})
	}
}

func TestAssemblerBodyMax(t *testing.T) {
	for _, row := range []struct {
		most, size uint64
		refused    bool
	}{
		{10, 10, false}, {10, 11, true}, {0, amqpproto.BodyMaxDefault, false}, {0, amqpproto.BodyMaxDefault + 1, true},
		{1<<64 - 1, 1 << 63, true}, // no slice is that long
		{1<<64 - 1, 1 << 40, false},
	} {
		a := &amqpproto.Assembler{BodyMax: row.most, Channel: 3}
		_, err := assemble(a, m(amqpproto.IDBasicDeliver), h(header(60, 0, row.size, "\x00\x00")))
		var ce *amqpproto.ChannelError
		if errors.As(err, &ce) != row.refused || row.refused && (ce.Code != 311 || ce.Channel != 3 || a.Busy()) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

func TestAssemblerReset(t *testing.T) {
	a := &amqpproto.Assembler{}
	if _, err := assemble(a, m(amqpproto.IDBasicDeliver), h(header(60, 0, 2, "\x00\x00")), b("x")); err != nil || !a.Busy() {
		t.Fatal(err)
	}
	a.Reset()
	if a.Busy() || a.Done() {
		t.Fatal("busy or done after Reset")
	}
	if _, err := assemble(a, b("y")); err == nil {
		t.Fatal("the rest of a content that was dropped is taken")
	}
}

// A declared size costs nothing: memory follows the octets that come.
func TestAssemblerMemoryFollowsTheInput(t *testing.T) {
	a := &amqpproto.Assembler{BodyMax: 1 << 40}
	if _, err := assemble(a, m(amqpproto.IDBasicDeliver), h(header(60, 0, 1<<40, "\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	const part = 4088
	total := 0
	for range 1000 {
		if _, err := a.Body(make([]byte, part)); err != nil {
			t.Fatal(err)
		}
		total += part
		if kept := amqpproto.AssemblerMemory(a); kept > 2*total+part {
			t.Fatalf("%d octets kept after %d came", kept, total)
		}
	}
	a.Reset()
	if kept := amqpproto.AssemblerMemory(a); kept > 1<<20 {
		t.Fatalf("%d octets kept after Reset", kept)
	}
}
