// Package logs keeps what a server logs, so that a test can read it while the
// server still writes.
package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"zamqp/tests/kit/wait"
)

// Buffer is a log in memory. Any goroutine may write to it and read it.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the log.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything that has been written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Ends returns the log without its middle, for a test's report: at most n octets of
// its beginning and of its end.
func (b *Buffer) Ends(n int) string {
	s := b.String()
	if len(s) <= 2*n {
		return s
	}
	return s[:n] + "\n…\n" + s[len(s)-n:]
}

// Entry is one line of a JSON log, with the fields that tests look at.
type Entry struct{ Message, Address, URL string }

// Find returns the first entry with a message.
func (b *Buffer) Find(message string) (e Entry, ok bool) {
	for line := range strings.Lines(b.String()) {
		e = Entry{}
		if json.Unmarshal([]byte(line), &e) == nil && e.Message == message {
			return e, true
		}
	}
	return Entry{}, false
}

// Await waits until there is an entry with a message.
func (b *Buffer) Await(t testing.TB, message string) (e Entry) {
	t.Helper()
	wait.Until(t, "the log has "+message, func() (ok bool) { e, ok = b.Find(message); return ok })
	return e
}
