package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostile is what no terminal and no page is to see: it clears a screen in two ways,
// turns a line round, begins another one, and is no UTF-8.
const hostileText = "\x1b[2J\u009b2J\u202e\r\x7f\u2028\xff"

func obeyed(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, isObeyed)
}

func TestQuoting(t *testing.T) {
	var b bytes.Buffer
	n, err := fmt.Fprint(quoting{&b}, "é "+hostileText+"\n\t.")
	if want := "é \\u001b[2J\\u009b2J\\u202e\\u000d\\u007f\\u2028\\xff\n\t."; b.String() != want || err != nil || n != len("é "+hostileText+"\n\t.") {
		t.Errorf("%d, %v: %q", n, err, b.String())
	}
}

// TestLogQuotes: JSON stays JSON, and says the same.
func TestLogQuotes(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		var b bytes.Buffer
		log := NewLogger(Log{Level: "info", Format: format}, &b)
		log.Info().Str("message_id", hostileText).Err(fmt.Errorf("no %s", hostileText)).Msg("the call failed")
		if obeyed(strings.TrimSuffix(b.String(), "\n")) {
			t.Errorf("%s: %q", format, b.String())
		}
		var line struct{ Message_id string }
		if format == "json" && (json.Unmarshal(b.Bytes(), &line) != nil || !strings.HasPrefix(line.Message_id, "\x1b[2J\u009b2J\u202e\r\x7f")) {
			t.Errorf("%q", b.String())
		}
	}
}

func TestShape(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"a timeout":                         "a timeout",
		"order 4711 not found":              "order … not found",
		"order 1f0c-9a not found":           "order … not found",
		`no row for "Alice" in "customers"`: `no row for "…" in "…"`,
		"it's down":                         "it's down",
		"dial tcp 10.0.0.1:5432: refused":   "dial tcp …:…: refused",
		"id=17, state=new":                  "id=…, state=new",
	} {
		if got := shape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCausesAreGrouped(t *testing.T) {
	var c causes
	for i := range 50_000 {
		c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: fmt.Sprint("order ", i, " not found\nand more")})
		if i < 50 {
			c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: strings.Repeat("x", i)})
		}
	}
	list, left, messages := c.most(20)
	if len(list) != 20 || left != 31 || messages != 31 || list[0].Count != 50_000 || list[0].Error != "order … not found" || list[0].Example != "order 0 not found" {
		t.Errorf("%d rows, %d and %d left: %+v", len(list), left, messages, list[0])
	}
	var b strings.Builder
	writeCauses(&b, list, left, messages)
	if out := b.String(); !strings.HasPrefix(out, "   50000  attempts in q, handler h: order … not found\n") || !strings.HasSuffix(out, "      31  in 31 more kinds that are not shown: --causes 0 shows all\n") {
		t.Errorf("%s", out)
	}
	if list, left, _ := c.most(0); len(list) != 51 || left != 0 {
		t.Errorf("%d rows, %d left", len(list), left)
	}
}

func TestSameAddress(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true}, {":80", "127.0.0.1:80", true}, {"localhost:80", "127.0.0.1:80", true}, {"[::]:80", "10.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false}, {":80", ":81", false}, {":0", ":0", false},
	} {
		if sameAddress(row.a, row.b) != row.same {
			t.Errorf("%s and %s", row.a, row.b)
		}
	}
}
