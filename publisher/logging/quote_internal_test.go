package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"zamqp/publisher/config"
)

// hostile is text that must not reach a terminal or a page: it clears the screen in
// two ways, reverses a line, begins another line, and is not UTF-8.
const hostileText = "\x1b[2J\u009b2J\u202e\r\x7f\u2028\xff"

func obeyed(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, isObeyed)
}

func TestQuoting(t *testing.T) {
	var b bytes.Buffer
	n, err := fmt.Fprint(Quoting{&b}, "é "+hostileText+"\n\t.")
	if want := "é \\u001b[2J\\u009b2J\\u202e\\u000d\\u007f\\u2028\\xff\n\t."; b.String() != want || err != nil || n != len("é "+hostileText+"\n\t.") {
		t.Errorf("%d, %v: %q", n, err, b.String())
	}
}

// TestLogQuotes: JSON stays JSON, and says the same.
func TestLogQuotes(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		var b bytes.Buffer
		log := newLogger(config.Log{Level: "info", Format: format}, &b)
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
