package differential_test

import (
	"strings"

	"zamqp/amqpproto"
)

// broken are octets that break the rules of frames, of content or of method
// arguments, by name. Each begins and ends with whole frames, so that the
// broker can tell at once that they are wrong.
var broken = map[string]func(ch uint16) []byte{
	"frame-end": func(ch uint16) []byte {
		b := must(amqpproto.AppendMethod(nil, ch, marker))
		b[len(b)-1] = 0
		return b
	},
	"frame-type":            func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 9, ch, []byte("what")) },
	"frame-type-0":          func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 0, ch, nil) },
	"frame-oversize":        func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 1, ch, make([]byte, frameMax)) },
	"heartbeat":             func(uint16) []byte { return amqpproto.AppendHeartbeat(nil) },
	"heartbeat-payload":     func(uint16) []byte { return amqpproto.AppendFrame(nil, 8, 0, []byte("x")) },
	"heartbeat-channel":     func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 8, ch, nil) },
	"protocol-header-again": func(uint16) []byte { return []byte(amqpproto.ProtocolHeader) },

	"channel-not-open": func(uint16) []byte { return must(amqpproto.AppendMethod(nil, 50, marker)) },
	"close-not-open": func(uint16) []byte {
		return must(amqpproto.AppendMethod(nil, 50, &amqpproto.ChannelClose{ReplyCode: 200}))
	},
	"close-ok-not-open": func(uint16) []byte { return must(amqpproto.AppendMethod(nil, 50, &amqpproto.ChannelCloseOk{})) },
	"channel-over-max":  func(uint16) []byte { return must(amqpproto.AppendMethod(nil, channelMax+1, &amqpproto.ChannelOpen{})) },
	"open-twice":        func(ch uint16) []byte { return must(amqpproto.AppendMethod(nil, ch, &amqpproto.ChannelOpen{})) },
	"channel-0":         func(uint16) []byte { return must(amqpproto.AppendMethod(nil, 0, marker)) },
	"connection-method-on-channel": func(ch uint16) []byte {
		return must(amqpproto.AppendMethod(nil, ch, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}))
	},
	"open-again": func(uint16) []byte {
		return must(amqpproto.AppendMethod(nil, 0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}))
	},
	"tune-ok-again":  func(uint16) []byte { return must(amqpproto.AppendMethod(nil, 0, &amqpproto.ConnectionTuneOk{})) },
	"start-ok-again": func(uint16) []byte { return must(amqpproto.AppendMethod(nil, 0, startOk("guest", "guest"))) },
	"close-ok-connection": func(uint16) []byte {
		return must(amqpproto.AppendMethod(nil, 0, &amqpproto.ConnectionCloseOk{}))
	},
	"blocked-from-client": func(uint16) []byte {
		return must(amqpproto.AppendMethod(nil, 0, &amqpproto.ConnectionBlocked{Reason: []byte("no")}))
	},
	"unknown-class":  func(ch uint16) []byte { return methodFrame(ch, 99, 1, "") },
	"unknown-method": func(ch uint16) []byte { return methodFrame(ch, 50, 99, "") },
	"access-request": func(ch uint16) []byte { return methodFrame(ch, 30, 10, "\x05/data\x1f") },
	"short-method":   func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 1, ch, []byte{0, 50}) },
	"empty-method":   func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 1, ch, nil) },
	"args-cut":       func(ch uint16) []byte { return methodFrame(ch, 50, 10, "\x00\x00\x05ab") },
	"args-missing":   func(ch uint16) []byte { return methodFrame(ch, 60, 10, "") },
	"args-trailing":  func(ch uint16) []byte { return methodFrame(ch, 85, 10, "\x00more") },
	"args-bits":      func(ch uint16) []byte { return methodFrame(ch, 85, 10, "\xfe") },
	"table-cut": func(ch uint16) []byte {
		return methodFrame(ch, 50, 10, "\x00\x00\x01q\x00\x00\x00\x00\x08\x03abcS\x00")
	},
	"table-too-long": func(ch uint16) []byte {
		return methodFrame(ch, 50, 10, "\x00\x00\x01q\x00\x7f\xff\xff\xff\x03abct\x01")
	},
	"table-key-cut": func(ch uint16) []byte { return methodFrame(ch, 50, 10, "\x00\x00\x01q\x00\x00\x00\x00\x02\x05a") },

	"get-ok-from-client": func(ch uint16) []byte {
		return methodFrame(ch, 60, 71, strings.Repeat("\x00", 8)+"\x00\x00\x00\x00\x00\x00\x00")
	},
	"get-empty-from-client": func(ch uint16) []byte {
		return must(amqpproto.AppendMethod(nil, ch, &amqpproto.BasicGetEmpty{}))
	},
	"declare-ok-from-client": func(ch uint16) []byte {
		return must(amqpproto.AppendMethod(nil, ch, &amqpproto.QueueDeclareOk{Queue: []byte("q")}))
	},
	"open-ok-from-client": func(ch uint16) []byte { return must(amqpproto.AppendMethod(nil, ch, &amqpproto.ChannelOpenOk{})) },
	"flow-ok-unasked": func(ch uint16) []byte {
		return must(amqpproto.AppendMethod(nil, ch, &amqpproto.ChannelFlowOk{Active: true}))
	},

	"header-alone": func(ch uint16) []byte { return amqpproto.AppendContentHeader(nil, ch, 60, 3, []byte{0, 0}) },
	"body-alone":   func(ch uint16) []byte { return amqpproto.AppendFrame(nil, 3, ch, []byte("abc")) },
	"method-instead-of-header": func(ch uint16) []byte {
		return must(amqpproto.AppendMethod(publishMethod(ch), ch, marker))
	},
	"body-instead-of-header": func(ch uint16) []byte { return amqpproto.AppendFrame(publishMethod(ch), 3, ch, []byte("abc")) },
	"header-twice": func(ch uint16) []byte {
		b := amqpproto.AppendContentHeader(publishMethod(ch), ch, 60, 3, []byte{0, 0})
		return amqpproto.AppendContentHeader(b, ch, 60, 3, []byte{0, 0})
	},
	"header-class": func(ch uint16) []byte {
		return amqpproto.AppendContentHeader(publishMethod(ch), ch, 50, 3, []byte{0, 0})
	},
	"header-class-unknown": func(ch uint16) []byte {
		return amqpproto.AppendContentHeader(publishMethod(ch), ch, 99, 3, []byte{0, 0})
	},
	"header-short": func(ch uint16) []byte { return amqpproto.AppendFrame(publishMethod(ch), 2, ch, []byte{0, 60, 0, 0}) },
	"header-weight": func(ch uint16) []byte {
		return amqpproto.AppendFrame(publishMethod(ch), 2, ch, []byte("\x00\x3c\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	},
	"body-too-large": func(ch uint16) []byte {
		return amqpproto.AppendContentHeader(publishMethod(ch), ch, 60, 1<<40, []byte{0, 0})
	},
	"body-empty-frames": func(ch uint16) []byte {
		b := amqpproto.AppendContentHeader(publishMethod(ch), ch, 60, 3, []byte{0, 0})
		b = amqpproto.AppendFrame(b, 3, ch, nil)
		b = amqpproto.AppendFrame(b, 3, ch, []byte("ab"))
		b = amqpproto.AppendFrame(b, 3, ch, nil)
		return amqpproto.AppendFrame(b, 3, ch, []byte("c"))
	},
	"frames-of-other-channels-between": func(ch uint16) []byte {
		b := must(amqpproto.AppendMethod(publishMethod(ch), 51, &amqpproto.ChannelOpen{}))
		b = amqpproto.AppendContentHeader(b, ch, 60, 3, []byte{0, 0})
		b = amqpproto.AppendHeartbeat(b)
		b = must(amqpproto.AppendMethod(b, 51, &amqpproto.ChannelClose{ReplyCode: 200}))
		return amqpproto.AppendFrame(b, 3, ch, []byte("abc"))
	},
}

// publishMethod is the frame before a content, to the default exchange and no
// queue.
func publishMethod(ch uint16) []byte {
	return must(amqpproto.AppendMethod(nil, ch, &amqpproto.BasicPublish{RoutingKey: []byte("nowhere")}))
}

// handshakes are ways to begin a connection, most of them wrong. Each writes something at
// once, and then answers what comes by the method's id; what it does not answer is only
// recorded.
var handshakes = map[string]struct {
	first   string
	answers map[amqpproto.MethodID]func() []byte
}{
	"good":           {amqpproto.ProtocolHeader, answering(nil)},
	"http":           {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	"amqp-0-8":       {"AMQP\x01\x01\x08\x00", nil},
	"amqp-0-9":       {"AMQP\x01\x01\x00\x09", answering(nil)},
	"amqp-1-0":       {"AMQP\x00\x01\x00\x00", nil},
	"amqp-0-9-2":     {"AMQP\x00\x00\x09\x02", nil},
	"amqp-sasl":      {"AMQP\x03\x01\x00\x00", nil},
	"open-at-start":  {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")})},
	"wrong-password": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, startOk("guest", "wrong"))},
	"unknown-user":   {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, startOk("nobody", "wrong"))},
	"silent-refusal": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionStartOk{
		Mechanism: []byte("PLAIN"), Response: []byte("\x00guest\x00wrong"), Locale: []byte("en_US")})},
	"unknown-mechanism": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionStartOk{
		ClientProperties: startOk("", "").ClientProperties, Mechanism: []byte("MAGIC"), Locale: []byte("en_US")})},
	"amqplain": {amqpproto.ProtocolHeader, answering(&amqpproto.ConnectionStartOk{
		Mechanism: []byte("AMQPLAIN"), Response: encoded(table{"LOGIN": "guest", "PASSWORD": "guest"}), Locale: []byte("en_US")})},
	"plain-malformed": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionStartOk{
		ClientProperties: startOk("", "").ClientProperties, Mechanism: []byte("PLAIN"), Response: []byte("guest"), Locale: []byte("en_US")})},
	"unknown-vhost": {amqpproto.ProtocolHeader, map[amqpproto.MethodID]func() []byte{
		amqpproto.IDConnectionStart: encodedMethods(startOk("guest", "guest")),
		amqpproto.IDConnectionTune:  encodedMethods(&amqpproto.ConnectionTuneOk{}, &amqpproto.ConnectionOpen{VirtualHost: []byte("nowhere")})}},
	"frame-max-small":   {amqpproto.ProtocolHeader, tuning(&amqpproto.ConnectionTuneOk{FrameMax: 100})},
	"frame-max-large":   {amqpproto.ProtocolHeader, tuning(&amqpproto.ConnectionTuneOk{FrameMax: 1 << 30})},
	"frame-max-none":    {amqpproto.ProtocolHeader, tuning(&amqpproto.ConnectionTuneOk{FrameMax: 0, ChannelMax: 10})},
	"channel-max-large": {amqpproto.ProtocolHeader, tuning(&amqpproto.ConnectionTuneOk{ChannelMax: 65535, FrameMax: 8192})},
	"channel-before-open": {amqpproto.ProtocolHeader, map[amqpproto.MethodID]func() []byte{
		amqpproto.IDConnectionStart: encodedMethods(startOk("guest", "guest")),
		amqpproto.IDConnectionTune: func() []byte {
			return must(amqpproto.AppendMethod(encodedMethods(&amqpproto.ConnectionTuneOk{})(), 1, &amqpproto.ChannelOpen{}))
		}}},
	"tune-ok-early": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionTuneOk{})},
	"bad-frame-early": {amqpproto.ProtocolHeader, map[amqpproto.MethodID]func() []byte{
		amqpproto.IDConnectionStart: func() []byte { return amqpproto.AppendFrame(nil, 9, 0, []byte("what")) }}},
	"close-early": {amqpproto.ProtocolHeader, on(amqpproto.IDConnectionStart, &amqpproto.ConnectionClose{ReplyCode: 200})},
	"frame-over-minimum-early": {amqpproto.ProtocolHeader, map[amqpproto.MethodID]func() []byte{
		amqpproto.IDConnectionStart: func() []byte {
			m := startOk("guest", "guest")
			m.ClientProperties = encoded(table{"long": strings.Repeat("x", 5000)})
			return encodedMethods(m)()
		}}},
}

func encodedMethods(methods ...amqpproto.Method) func() []byte {
	return func() (b []byte) {
		for _, m := range methods {
			b = must(amqpproto.AppendMethod(b, 0, m))
		}
		return b
	}
}

// on answers one method with another.
func on(id amqpproto.MethodID, m amqpproto.Method) map[amqpproto.MethodID]func() []byte {
	return map[amqpproto.MethodID]func() []byte{id: encodedMethods(m)}
}

// answering goes through the whole handshake, with another start-ok if given,
// and closes.
func answering(start *amqpproto.ConnectionStartOk) map[amqpproto.MethodID]func() []byte {
	if start == nil {
		start = startOk("guest", "guest")
	}
	answers := tuning(&amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: 8192})
	answers[amqpproto.IDConnectionStart] = encodedMethods(start)
	return answers
}

// tuning goes through the whole handshake with this tune-ok.
func tuning(tune *amqpproto.ConnectionTuneOk) map[amqpproto.MethodID]func() []byte {
	return map[amqpproto.MethodID]func() []byte{
		amqpproto.IDConnectionStart:  encodedMethods(startOk("guest", "guest")),
		amqpproto.IDConnectionTune:   encodedMethods(tune, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}),
		amqpproto.IDConnectionOpenOk: encodedMethods(&amqpproto.ConnectionClose{ReplyCode: 200}),
	}
}

// handshake begins a connection in the way that the operation names, and records everything
// that the broker sends, even octets that are not frames.
func (r *run) handshake(o *operation) {
	l, err := dial(r.b.addr)
	if err != nil {
		r.say("", "cannot connect: %v", err)
		return
	}
	defer l.close()
	h := handshakes[o.kind]
	l.write([]byte(h.first))
	for l.read(r) {
		m := l.last
		r.say("", "%s", show(m))
		if m.id == amqpproto.IDConnectionCloseOk {
			return // it does not matter which side closes the socket then
		}
		if m.id == amqpproto.IDConnectionClose {
			l.send(0, &amqpproto.ConnectionCloseOk{})
		} else if answer := h.answers[m.id]; answer != nil {
			l.write(answer())
		}
	}
}
