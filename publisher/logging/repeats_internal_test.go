package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// a storm is a log whose time stands still unless the test moves it.
type storm struct {
	out   bytes.Buffer
	x     *repeats
	log   zerolog.Logger
	time  time.Time
	timer func()
}

func newStorm(most int) *storm {
	s := &storm{time: time.Unix(1e9, 0)}
	s.x = newRepeats(&s.out, most)
	s.x.now = func() time.Time { return s.time }
	s.x.after = func(_ time.Duration, fn func()) { s.timer = fn }
	s.log = zerolog.New(s.x)
	return s
}

// minute moves the time, and returns the lines since the last call.
func (s *storm) minute() []string {
	s.time = s.time.Add(repeatsWindow)
	if fn := s.timer; fn != nil {
		s.timer = nil
		fn()
	}
	lines := strings.Split(strings.TrimSuffix(s.out.String(), "\n"), "\n")
	s.out.Reset()
	return lines
}

func TestRepeats(t *testing.T) {
	s := newStorm(10)
	fail := func(n int) {
		for i := range n {
			s.log.Warn().Err(fmt.Errorf("no %d", i)).Str("handler", `POST "/x`).Msg("the call failed")
		}
		s.log.Warn().Str("handler", "other").Msg("the call failed")
	}
	fail(100_000)
	lines := s.minute()
	if len(lines) != 12 || !strings.Contains(lines[10], `"other"`) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[11]), &last); err != nil {
		t.Fatal(err)
	}
	if last["left_out"] != 99_990.0 || last["of"] != "the call failed" || last["handler"] != `POST "/x` || last["level"] != "warn" {
		t.Errorf("%v", last)
	}
	fail(100_000) // it goes on: one line, and the count
	if lines := s.minute(); len(lines) != 3 || !strings.Contains(lines[2], `"left_out":99999`) {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	fail(5) // fewer, and one of them is written
	s.minute()
	s.minute()
	fail(5) // the storm is over
	if lines := s.minute(); len(lines) != 6 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

// TestRepeatsLeaveAlone: what was asked for, and the last words of a process.
func TestRepeatsLeaveAlone(t *testing.T) {
	s := newStorm(1)
	for range 10 {
		s.log.Debug().Msg("x")
		s.log.Log().Str("level", "info").Msg("x") // a line of the access log
		s.log.WithLevel(zerolog.FatalLevel).Msg("x")
	}
	if lines := s.minute(); len(lines) != 30 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestRepeatsAreBounded: neither very many kinds, nor text that looks like fields, take memory or
// get past the limit.
func TestRepeatsAreBounded(t *testing.T) {
	s := newStorm(2)
	for i := range 10_000 {
		s.log.Error().Str("handler", fmt.Sprint(i)).Err(errors.New(`","message":"forged`)).Msg("one message")
		s.log.Error().Msg(fmt.Sprint("a message of its own ", i))
		s.log.Info().Str("name", fmt.Sprint(i)).Str("text", `"handler":"`+fmt.Sprint(i)).Msg("a client came")
	}
	if len(s.x.kinds) > repeatsKinds+1 {
		t.Errorf("%d kinds", len(s.x.kinds))
	}
	lines := s.minute()
	if len(lines) > 4*repeatsKinds {
		t.Errorf("%d lines of 30000", len(lines))
	}
	n := 0
	for _, line := range lines {
		if strings.HasSuffix(line, `"message":"a client came"}`) {
			n++
		}
	}
	if n > 2 {
		t.Errorf("%d lines of a kind", n)
	}
	s.minute()
	s.minute()
	if len(s.x.kinds) > 0 {
		t.Errorf("%d kinds are kept that are over", len(s.x.kinds))
	}
}
