package wiretest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files under testdata")

// Updating reports whether golden files are being rewritten.
func Updating() bool { return *update }

// Golden compares got with the file at path, or writes it under -update.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("wiretest: no golden file: %v; write it with go test -update", err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		gl, wl := line(g, i), line(w, i)
		if gl != wl {
			t.Fatalf("wiretest: %s:%d differs (rewrite with go test -update)\nwant %s\n got %s", path, i+1, wl, gl)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(end of file)"
}

// Transcript collects a conversation as lines of C: (client) and S: (server). Bytes
// are shown as in a Go string without its quotes; a line ends after \n. For a
// binary protocol set Show.
type Transcript struct {
	// Show turns the bytes that one side has sent without interruption into lines.
	// It returns how many it used; the rest is offered again with more.
	Show func(p []byte) (lines []string, n int)

	text strings.Builder
	side byte
	held map[byte][]byte
}

// Tap records what side 'C' or 'S' has sent. Give Link.Tap a function that maps A
// and B to them.
func (x *Transcript) Tap(side byte, p []byte) {
	if x.held == nil {
		x.held = map[byte][]byte{}
	}
	if x.side != side {
		x.flush()
		x.side = side
	}
	x.held[side] = append(x.held[side], p...)
	if x.Show != nil {
		lines, n := x.Show(x.held[side])
		x.held[side] = x.held[side][n:]
		for _, l := range lines {
			x.line(side, l)
		}
	}
}

// Note adds a comment line.
func (x *Transcript) Note(format string, args ...any) {
	x.flush()
	fmt.Fprintf(&x.text, "# "+format+"\n", args...)
}

// String is the transcript so far.
func (x *Transcript) String() string {
	x.flush()
	return x.text.String()
}

// flush writes what the side that is sending has sent. With Show, an incomplete
// unit waits for its rest.
func (x *Transcript) flush() {
	if x.Show != nil || x.side == 0 {
		return
	}
	for _, l := range splitLines(x.held[x.side]) {
		x.line(x.side, escape(l))
	}
	x.held[x.side] = nil
}

func (x *Transcript) line(side byte, text string) {
	fmt.Fprintf(&x.text, "%c: %s\n", side, text)
}

func splitLines(p []byte) []string {
	lines := strings.SplitAfter(string(p), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// escape is strconv.Quote without the quotes, and leaves " as it is.
func escape(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func unescape(s string) (string, error) {
	return strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
}

// Play runs the transcript at path against a new machine. It feeds it the lines of
// side in ('C' when the machine is a server, 'S' when it is a client); what the
// machine answers must be the other side's lines. An answer or an empty line ends
// what is fed in one go. "C: (end)" half-closes the wire; if the machine closes it,
// that shows as "S: (end)". Lines that start with # are comments. With -update the
// answers are rewritten. So one file is both input and expectation.
func Play(t *testing.T, path string, in byte, machine func(w *Wire) Peer) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{other: 'C' + 'S' - in, me: NewScript()}
	wire := NewWire()
	p.link = Pump(t, wire.Bind(machine(wire)), p.me.Peer(), 0)
	for n, l := range strings.Split(strings.TrimSuffix(string(file), "\n"), "\n") {
		switch {
		case l == string(in)+": (end)":
			p.end = true
		case strings.HasPrefix(l, string(in)+": "):
			raw, err := unescape(l[3:])
			if err != nil {
				t.Fatalf("wiretest: %s:%d: %v", path, n+1, err)
			}
			p.said += raw
		case strings.HasPrefix(l, string(p.other)+": "):
			p.answer()
			continue
		case l == "":
			p.answer()
		case l[0] != '#':
			t.Fatalf("wiretest: %s:%d: a line starts with C:, S: or #", path, n+1)
		}
		fmt.Fprintln(&p.got, l)
	}
	p.answer()
	Golden(t, path, p.got.String())
}

// player is the state of one Play.
type player struct {
	link  *Link
	me    *Script
	other byte
	said  string // collected, not yet fed
	end   bool   // half-close after the input
	over  bool   // the end of the machine has been written down
	got   strings.Builder
}

// answer feeds what was collected and writes what comes back.
func (p *player) answer() {
	p.me.SayString(p.said)
	p.said = ""
	if p.end {
		p.me.Shut()
	}
	p.link.Run()
	for _, l := range splitLines(p.me.Take()) {
		fmt.Fprintf(&p.got, "%c: %s\n", p.other, escape(l))
	}
	if p.me.Gone && !p.over {
		p.over = true
		fmt.Fprintf(&p.got, "%c: (end)\n", p.other)
	}
}
