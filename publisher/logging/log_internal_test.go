package logging

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/config"
)

func TestLogFormats(t *testing.T) {
	for format, isJSON := range map[string]bool{"json": true, "auto": true, "console": false} {
		var b bytes.Buffer
		log := newLogger(config.Log{Level: "info", Format: format}, &b)
		log.Debug().Msg("too quiet")
		log.Info().Int("n", 7).Dur("again_in", 1500*time.Millisecond).Msg("up")
		var entry struct {
			Level, Message string
			N              int
			Time           time.Time
			Again          string `json:"again_in"`
		}
		err := json.Unmarshal(b.Bytes(), &entry)
		if isJSON && (err != nil || entry.Level != "info" || entry.Message != "up" || entry.N != 7 || entry.Again != "1.5s" || entry.Time.IsZero()) {
			t.Errorf("%s: %q: %+v, %v", format, &b, entry, err)
		}
		if !isJSON && (err == nil || !strings.Contains(b.String(), "INF up again_in=1.5s n=7") || strings.Contains(b.String(), "\x1b")) {
			t.Errorf("%s: %q", format, &b)
		}
		if strings.Contains(b.String(), "too quiet") {
			t.Errorf("%s: logs below its level: %q", format, &b)
		}
	}
}

func TestFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if IsTerminal(file) || IsTerminal(&bytes.Buffer{}) {
		t.Error("taken for a terminal")
	}
}
