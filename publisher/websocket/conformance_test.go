package websocket_test

import (
	"strings"
	"testing"
)

// conformance has cases like those of the Autobahn test suite, with its numbers: what the handler
// gets, and what is sent. RFC 6455 §5 to §8.
var conformance = []struct {
	name, in, got, sent string
	closed              bool
}{
	// 1: framing.
	{"1.1.1 an empty text", frame(0x81, ""), `text ""`, "", false},
	{"1.1.2 a text of 125 octets", frame(0x81, strings.Repeat("*", 125)), "text 125 octets", "", false},
	{"1.1.3 of 126", frame(0x81, strings.Repeat("*", 126)), "text 126 octets", "", false},
	{"1.2.1 an empty binary", frame(0x82, ""), `binary ""`, "", false},
	{"1.2.2 any octets", frame(0x82, "\xfe\xff\x00"), `binary "\xfe\xff\x00"`, "", false},

	// 2: pings and pongs.
	{"2.1 an empty ping", frame(0x89, ""), "", `pong ""`, false},
	{"2.2 a ping with a payload", frame(0x89, "Hello, world!"), "", `pong "Hello, world!"`, false},
	{"2.3 a ping with any octets", frame(0x89, "\x00\xff"), "", `pong "\x00\xff"`, false},
	{"2.4 a ping of 125 octets", frame(0x89, strings.Repeat("p", 125)), "", "pong 125 octets", false},
	{"2.5 a ping of 126", frame(0x89, strings.Repeat("p", 126)), `closed 1002 "a control frame has more than 125 octets" own=true`, `close 1002 "a control frame has more than 125 octets"`, true},
	{"2.7 a pong that nobody asked for", frame(0x8a, ""), "", "", false},
	{"2.8 with a payload", frame(0x8a, "unsolicited"), "", "", false},
	{"2.10 ten pings", strings.Repeat(frame(0x89, "x"), 3), "", "pong \"x\"\npong \"x\"\npong \"x\"", false},

	// 3: reserved bits.
	{"3.1 RSV3", frame(0x91, "x"), `closed 1002 "a reserved bit is set, and no extension was agreed" own=true`, `close 1002 "a reserved bit is set, and no extension was agreed"`, true},
	{"3.2 RSV2 behind a text", frame(0x81, "ok") + frame(0xa1, "x") + frame(0x89, ""), "text \"ok\"\nclosed 1002 \"a reserved bit is set, and no extension was agreed\" own=true", `close 1002 "a reserved bit is set, and no extension was agreed"`, true},
	{"3.4 RSV1, of a message compressed without agreement", frame(0xc1, "x"), `closed 1002 "a reserved bit is set, and no extension was agreed" own=true`, `close 1002 "a reserved bit is set, and no extension was agreed"`, true},
	{"3.6 in a ping", frame(0xe9, ""), `closed 1002 "a reserved bit is set, and no extension was agreed" own=true`, `close 1002 "a reserved bit is set, and no extension was agreed"`, true},

	// 4: opcodes.
	{"4.1.1 opcode 3", frame(0x83, ""), `closed 1002 "unknown opcode" own=true`, `close 1002 "unknown opcode"`, true},
	{"4.1.5 opcode 7", frame(0x87, "x"), `closed 1002 "unknown opcode" own=true`, `close 1002 "unknown opcode"`, true},
	{"4.2.1 opcode 11", frame(0x8b, ""), `closed 1002 "unknown opcode" own=true`, `close 1002 "unknown opcode"`, true},
	{"4.2.5 opcode 15", frame(0x8f, "x"), `closed 1002 "unknown opcode" own=true`, `close 1002 "unknown opcode"`, true},

	// 5: fragmentation.
	{"5.1 a ping in two frames", frame(0x09, "a") + frame(0x80, "b"), `closed 1002 "a control frame is fragmented" own=true`, `close 1002 "a control frame is fragmented"`, true},
	{"5.3 a text in two frames", frame(0x01, "frag") + frame(0x80, "ment"), `text "fragment"`, "", false},
	{"5.6 a ping between them", frame(0x01, "frag") + frame(0x89, "p") + frame(0x80, "ment"), `text "fragment"`, `pong "p"`, false},
	{"5.9 a continuation of nothing, the last one", frame(0x80, "x"), `closed 1002 "a continuation frame without a message" own=true`, `close 1002 "a continuation frame without a message"`, true},
	{"5.11 a continuation of nothing, not the last one", frame(0x00, "x"), `closed 1002 "a continuation frame without a message" own=true`, `close 1002 "a continuation frame without a message"`, true},
	{"5.15 after a whole message", frame(0x01, "a") + frame(0x80, "b") + frame(0x00, "c"), "text \"ab\"\nclosed 1002 \"a continuation frame without a message\" own=true", `close 1002 "a continuation frame without a message"`, true},
	{"5.18 a text inside a text", frame(0x01, "a") + frame(0x81, "b"), `closed 1002 "a message begins inside another one" own=true`, `close 1002 "a message begins inside another one"`, true},
	{"5.19 five frames with pings", frame(0x01, "1") + frame(0x00, "2") + frame(0x89, "p1") + frame(0x00, "3") + frame(0x00, "4") + frame(0x89, "p2") + frame(0x80, "5"), `text "12345"`, "pong \"p1\"\npong \"p2\"", false},
	{"5 empty frames", frame(0x01, "") + frame(0x00, "") + frame(0x00, "a") + frame(0x80, ""), `text "a"`, "", false},
	{"5 two messages", frame(0x01, "a") + frame(0x80, "b") + frame(0x02, "c") + frame(0x80, "d"), "text \"ab\"\nbinary \"cd\"", "", false},

	// 6: UTF-8.
	{"6.2.1 a text of several scripts", frame(0x81, "Hello-µ@ßöäüàá-UTF-8!!"), `text "Hello-µ@ßöäüàá-UTF-8!!"`, "", false},
	{"6.2.3 cut inside a character", frame(0x01, "\xce\xba\xe1") + frame(0x00, "\xbd") + frame(0x80, "\xb9x"), "text \"κ\u1f79x\"", "", false},
	{"6.3.1 an invalid octet", frame(0x81, "a\xff"), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},
	{"6.3.2 a surrogate", frame(0x81, "\xed\xa0\x80"), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},
	{"6.4.1 invalid in the first frame of two", frame(0x01, "\xf4\x90\x80\x80") + frame(0x80, ""), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},
	{"6.6.1 it ends inside a character", frame(0x81, "a\xce"), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},
	{"6.6 its last frame is empty", frame(0x01, "a\xce") + frame(0x80, ""), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},
	{"6.12 not checked in a binary", frame(0x82, "\xff"), `binary "\xff"`, "", false},
	{"6.20 the last code point", frame(0x81, "\xf4\x8f\xbf\xbf"), `text "\U0010ffff"`, "", false},
	{"6.21 overlong", frame(0x81, "\xc0\xaf"), `closed 1007 "a text is not UTF-8" own=true`, `close 1007 "a text is not UTF-8"`, true},

	// 7: closing.
	{"7.1.1 a message, then close", frame(0x81, "a") + frame(0x88, closing(1000, "")), "text \"a\"\nclosed 1000 \"\" own=false", `close 1000 ""`, true},
	{"7.1.2 two close frames", strings.Repeat(frame(0x88, closing(1000, "")), 2), `closed 1000 "" own=false`, `close 1000 ""`, true},
	{"7.1.4 a text behind close", frame(0x88, closing(1000, "")) + frame(0x81, "a"), `closed 1000 "" own=false`, `close 1000 ""`, true},
	{"7.1.5 close inside a message", frame(0x01, "a") + frame(0x88, closing(1000, "")) + frame(0x80, "b"), `closed 1000 "" own=false`, `close 1000 ""`, true},
	{"7.3.1 close without a code", frame(0x88, ""), `closed 1005 "" own=false`, `close ""`, true},
	{"7.3.2 close with one octet", frame(0x88, "a"), `closed 1002 "malformed close frame" own=true`, `close 1002 "malformed close frame"`, true},
	{"7.3.4 close with a reason", frame(0x88, closing(1000, "Hello World!")), `closed 1000 "Hello World!" own=false`, `close 1000 ""`, true},
	{"7.3.6 a reason too long", frame(0x88, closing(1000, strings.Repeat("*", 124))), `closed 1002 "a control frame has more than 125 octets" own=true`, `close 1002 "a control frame has more than 125 octets"`, true},
	{"7.5.1 a reason that is not UTF-8", frame(0x88, closing(1000, "\xff")), `closed 1007 "the reason of a close frame is not UTF-8" own=true`, `close 1007 "the reason of a close frame is not UTF-8"`, true},
	{"7.7.2 code 1001", frame(0x88, closing(1001, "")), `closed 1001 "" own=false`, `close 1001 ""`, true},
	{"7.7.8 code 1011", frame(0x88, closing(1011, "")), `closed 1011 "" own=false`, `close 1011 ""`, true},
	{"7.7.12 code 4999", frame(0x88, closing(4999, "")), `closed 4999 "" own=false`, `close 4999 ""`, true},
	{"7.9.1 code 0", frame(0x88, closing(0, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.2 code 999", frame(0x88, closing(999, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.3 code 1004", frame(0x88, closing(1004, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.4 code 1005", frame(0x88, closing(1005, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.5 code 1006", frame(0x88, closing(1006, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.6 code 1016", frame(0x88, closing(1016, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.9.9 code 2999", frame(0x88, closing(2999, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},
	{"7.13 code 5000", frame(0x88, closing(5000, "")), `closed 1002 "invalid close code" own=true`, `close 1002 "invalid close code"`, true},

	// 9: limits, which are 600 octets of a frame and 1000 of a message here.
	{"9 the longest frame", frame(0x82, strings.Repeat("*", 600)), "binary 600 octets", "", false},
	{"9 a frame too long", frame(0x82, strings.Repeat("*", 601)), `closed 1009 "the frame is too long" own=true`, `close 1009 "the frame is too long"`, true},
	{"9 the longest message", frame(0x02, strings.Repeat("*", 500)) + frame(0x80, strings.Repeat("*", 500)), "binary 1000 octets", "", false},
	{"9 a message too long", frame(0x02, strings.Repeat("*", 500)) + frame(0x80, strings.Repeat("*", 501)), `closed 1009 "the message is too long" own=true`, `close 1009 "the message is too long"`, true},

	// Further rules of the RFC.
	{"§5.1 a client must mask", "\x81\x01a", `closed 1002 "a frame of a client is not masked" own=true`, `close 1002 "a frame of a client is not masked"`, true},
	{"§5.2 a length in two octets that fits one", "\x81\xfe\x00\x01\x00\x00\x00\x00a", `closed 1002 "a length is not in its shortest form" own=true`, `close 1002 "a length is not in its shortest form"`, true},
	{"§5.2 a length in eight octets that fits two", "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00", `closed 1002 "a length is not in its shortest form" own=true`, `close 1002 "a length is not in its shortest form"`, true},
	{"§5.2 a negative length", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", `closed 1002 "a length is not in its shortest form" own=true`, `close 1002 "a length is not in its shortest form"`, true},
	{"§5.2 the longest length", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", `closed 1009 "the frame is too long" own=true`, `close 1009 "the frame is too long"`, true},
}

func TestConformance(t *testing.T) {
	for _, row := range conformance {
		t.Run(row.name, func(t *testing.T) {
			k := newTaker(&limits)
			if n, err := k.conn.Feed([]byte(row.in)); n != len(row.in) || err != nil {
				t.Errorf("took %d of %d: %v", n, len(row.in), err)
			}
			if got := strings.TrimSuffix(k.log.String(), "\n"); got != row.got {
				t.Errorf("the handler got\n%s\nwant\n%s", got, row.got)
			}
			if sent := strings.TrimSuffix(k.sent(), "\n"); sent != row.sent {
				t.Errorf("sent\n%s\nwant\n%s", sent, row.sent)
			}
			if closed := k.wire.Closed > 0; closed != row.closed {
				t.Errorf("closed: %t", closed)
			}
			sameHoweverCut(t, &limits, row.in)
		})
	}
}
