package websocket_test

import (
	"bytes"
	"testing"

	"zamqp/publisher/websocket"
)

// FuzzFrames: whatever the input, the machine does not panic, takes no more than it got, keeps
// within its limits of memory, and gives the same result wherever the input is cut.
func FuzzFrames(f *testing.F) {
	for _, row := range conformance {
		f.Add([]byte(row.in), uint16(3))
	}
	cfg := websocket.Config{MessageMax: 300, FrameMax: 200, OutMax: 1000}.WithDefaults()
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		whole := transcript(&cfg, [][]byte{in})
		at := min(int(cut), len(in))
		octets := make([][]byte, len(in))
		for i := range in {
			octets[i] = in[i : i+1]
		}
		for _, chunks := range [][][]byte{{in[:at], in[at:]}, octets} {
			if got := transcript(&cfg, chunks); got != whole {
				t.Errorf("cut at %d or everywhere:\n%s\nwhole:\n%s", at, got, whole)
			}
		}
	})
}

// FuzzMessages: the server's machine reads what the client's machine sends, whatever the
// fragments.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("Hello"), uint16(2), false)
	f.Add(bytes.Repeat([]byte("x"), 70_000), uint16(126), true)
	cfg := websocket.Config{}.WithDefaults()
	f.Fuzz(func(t *testing.T, p []byte, cut uint16, twice bool) {
		k := newTaker(&cfg)
		k.lazy = true
		c := &taker{wire: k.wire}
		c.conn = websocket.NewServer().NewClient(&cfg, k.wire, c)
		at := min(int(cut), len(p))
		if twice {
			c.conn.Write(false, true, true, p[:at])
			_, _ = k.conn.Feed(c.conn.Pending())
			c.conn.Sent(c.conn.OutLen())
			if _, got, ok := k.conn.Next(); !ok || !bytes.Equal(got, p[:at]) {
				t.Fatalf("%d octets", len(got))
			}
		}
		c.conn.Write(false, true, false, p[:at])
		c.conn.Write(false, false, true, p[at:])
		_, _ = k.conn.Feed(c.conn.Pending())
		if _, got, ok := k.conn.Next(); !ok || !bytes.Equal(got, p) {
			t.Fatalf("%d octets of %d", len(got), len(p))
		}
	})
}
