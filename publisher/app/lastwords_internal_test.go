package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher/config"
	"zamqp/publisher/logging"
)

// heldReader is a reader that takes nothing until it is opened.
type heldReader struct {
	open chan struct{}
	got  bytes.Buffer
}

func (g *heldReader) Write(p []byte) (int, error) {
	<-g.open
	return g.got.Write(p)
}

// TestLastWordsAreKept: the stacks of a process that ends itself are written after a log that
// is full, all of them.
func TestLastWordsAreKept(t *testing.T) {
	g := &heldReader{open: make(chan struct{})}
	log, w, _ := logging.Open(config.Log{Level: "error", Format: "json"}, g)
	for range 40_000 {
		log.Error().Msg("a line of the log")
	}
	status := 0
	last := newLastWords(log, w)
	last.exit = func(s int) { status = s }
	time.AfterFunc(100*time.Millisecond, func() { close(g.open) })
	long := bytes.Repeat([]byte("stack "), 128<<10)
	last.say(exitStalled, loop.Stall{Name: "GET /stuck", Function: "shop.stuck", Stack: long}, func(e *zerolog.Event) { e.Msg("held") })
	last.say(exitUnresponsive, loop.Stall{}, func(e *zerolog.Event) { e.Msg("again") })
	text := g.got.String()
	if status != exitStalled || strings.Contains(text, "again") || w.Stats().Dropped == 0 {
		t.Errorf("status %d, %+v", status, w.Stats())
	}
	_, text, _ = strings.Cut(text, `"level":"fatal","exit_status":70,"handler":"GET /stuck","phase":"","function":"shop.stuck","stack":"stack stack `)
	if !strings.Contains(text, `"message":"held"`) || !strings.Contains(text, "TestLastWordsAreKept") || !strings.Contains(text, "a goroutine at the end") {
		t.Errorf("the last words are not whole: %d octets", len(text))
	}
}
