package logging

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"zamqp/publisher/config"
)

// gate is a reader that takes nothing until it is opened, and fails first.
type gate struct {
	open  chan struct{}
	fails int
	fine  chan struct{} // closed when a write succeeds
	mu    sync.Mutex
	got   bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fails > 0 {
		g.fails--
		n, _ := g.got.Write(p[:len(p)/2])
		return n, errors.New("no space left")
	}
	if g.fine != nil {
		close(g.fine)
		g.fine = nil
	}
	return g.got.Write(p)
}

// TestLogKeepsFirstAndLast: of far too many lines the first and the last come, in
// order, and a line between them says how many are missing.
func TestLogKeepsFirstAndLast(t *testing.T) {
	g := &gate{open: make(chan struct{}), fails: 3, fine: make(chan struct{})}
	fine := g.fine
	log, w, end := Open(config.Log{Level: "info", Format: "json"}, g)
	const n = 40_000
	for i := range n {
		log.Info().Int("n", i).Msg("a line of the log")
	}
	close(g.open)
	<-fine // at the end of the process an error would be final
	end()
	s := w.Stats()
	if s.Dropped == 0 || s.Waiting != 0 || s.Failures != 3 {
		t.Errorf("%+v", s)
	}
	lines := strings.Split(strings.TrimSuffix(g.got.String(), "\n"), "\n")
	next := 0
	for _, line := range lines {
		if strings.Contains(line, "missing here") {
			if !strings.Contains(line, fmt.Sprintf(`"lines":%d,"last_error":"no space left"`, s.Dropped)) {
				t.Errorf("%s: %d were dropped", line, s.Dropped)
			}
			next += int(s.Dropped)
			continue
		}
		if !strings.Contains(line, fmt.Sprintf(`"n":%d,`, next)) {
			t.Fatalf("%s: %d was to come", line, next)
		}
		next++
	}
	if next != n {
		t.Errorf("the last line is %d", next)
	}
}

// TestLogWithoutReaderCloses: the end of the process waits for a while only.
func TestLogWithoutReaderCloses(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	defer close(g.open)
	w := newWriter(g)
	_, _ = w.Write([]byte("a line\n"))
	_ = w.Close()
}

func TestLogWriterAllocatesNothing(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	w := newWriter(g)
	line := []byte("a line of the log\n")
	w.mu.Lock()
	w.lines = make([]byte, 0, logWaitingMax)
	w.mu.Unlock()
	if n := testing.AllocsPerRun(1000, func() { _, _ = w.Write(line) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
	close(g.open)
	_ = w.Close()
}
