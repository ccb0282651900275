package amqpproto_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"zamqp/amqpproto"
)

func TestErrorTexts(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{&amqpproto.ConnectionError{Code: 501, Text: "bad end", Method: amqpproto.IDBasicDeliver},
			"amqp: connection: 501 FRAME_ERROR - bad end (basic.deliver)"},
		{&amqpproto.ConnectionError{Code: 320, Text: "CONNECTION_FORCED - broker forced connection closure"},
			"amqp: connection: 320 CONNECTION_FORCED - broker forced connection closure"},
		{&amqpproto.ConnectionError{Code: 541}, "amqp: connection: 541 INTERNAL_ERROR"},
		{&amqpproto.ChannelError{Code: 404, Text: "NOT_FOUND - no queue 'q' in vhost '/'", Method: amqpproto.IDQueueDeclare, Channel: 3},
			"amqp: channel 3: 404 NOT_FOUND - no queue 'q' in vhost '/' (queue.declare)"},
		{&amqpproto.ChannelError{Code: 999, Text: "odd", Method: amqpproto.NewMethodID(60, 250)},
			"amqp: channel 0: 999 odd (method(60,250))"},
		{&amqpproto.EncodeError{What: "basic.publish: exchange", Text: "300 octets, at most 255 fit"},
			"amqp: basic.publish: exchange: 300 octets, at most 255 fit"},
	} {
		if have := row.err.Error(); have != row.want {
			t.Errorf("have %q\nwant %q", have, row.want)
		}
	}
}

// hardError reports whether the specification calls a reply code a hard error: one that
// ends the connection and not only the channel.
func hardError(code uint16) bool {
	return code == amqpproto.ConnectionForced || code == amqpproto.InvalidPath || code >= amqpproto.FrameError && code <= amqpproto.InternalError
}

// Every code of the specification has a name, and its class of error (§1.2).
func TestReplyCodes(t *testing.T) {
	soft := []uint16{200, 311, 312, 313, 403, 404, 405, 406}
	hard := []uint16{320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541}
	for _, code := range soft {
		if amqpproto.ReplyName(code) == "" || hardError(code) {
			t.Errorf("%d: name %q, hard %t", code, amqpproto.ReplyName(code), hardError(code))
		}
	}
	for _, code := range hard {
		if amqpproto.ReplyName(code) == "" || !hardError(code) {
			t.Errorf("%d: name %q, hard %t", code, amqpproto.ReplyName(code), hardError(code))
		}
	}
	if amqpproto.ReplyName(1) != "" || hardError(1) {
		t.Error("code 1 is known")
	}
}

// A close method made of an error, sent and read, stands for the same error,
// whatever the length of its text.
func TestCloseMethods(t *testing.T) {
	for _, text := range []string{"short", strings.Repeat("ä", 300)} {
		c := (&amqpproto.ConnectionError{Code: 501, Text: text, Method: amqpproto.IDBasicAck}).CloseMethod()
		out, err := amqpproto.AppendMethod(nil, 0, c)
		if err != nil || !utf8.Valid(c.ReplyText) {
			t.Fatalf("%v, reply text %q", err, c.ReplyText)
		}
		back := decode(t, out).(*amqpproto.ConnectionClose).Err()
		if back.Code != 501 || back.Method != amqpproto.IDBasicAck || !strings.HasPrefix(back.Text, "FRAME_ERROR - ") {
			t.Errorf("came back as %+v", back)
		}
		ch := (&amqpproto.ChannelError{Code: 404, Text: text, Method: amqpproto.IDBasicGet, Channel: 4}).CloseMethod()
		if out, err = amqpproto.AppendMethod(nil, 4, ch); err != nil {
			t.Fatal(err)
		}
		if e := decode(t, out).(*amqpproto.ChannelClose).Err(4); e.Code != 404 || e.Channel != 4 || e.Method != amqpproto.IDBasicGet {
			t.Errorf("came back as %+v", e)
		}
	}
}
