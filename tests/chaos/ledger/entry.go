// Package ledger records a chaos run outside of the processes that are killed in
// it, and checks the records: what was confirmed has to be handled, in order, and
// not more often than a fault excuses.
package ledger

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind says what happened to a message.
type Kind string

const (
	Published Kind = "published" // offered to the broker or to HTTP, once for each attempt
	Confirmed Kind = "confirmed" // confirmed by the broker, or answered 202
	Started   Kind = "started"   // a handler has begun to handle it
	Handled   Kind = "handled"   // the handler is about to return nil
	Failed    Kind = "failed"    // the handler is about to return an error, on purpose
	Dead      Kind = "dead"      // found in a dead-letter queue at the end
)

// ID names a message for its whole life. Seq counts the messages of a key in a
// queue from 0.
type ID struct {
	Queue string
	Key   string
	Seq   int
}

func (id ID) String() string { return fmt.Sprintf("%s/%s/%d", id.Queue, id.Key, id.Seq) }

// Entry is a line of a ledger.
type Entry struct {
	Kind Kind
	ID
	Time        time.Time
	Process     int  // the process that handled it
	Attempt     int  // as the handler saw it
	Redelivered bool // as the broker reported it
	Note        string
}

// Append adds the entry's line to dst. It does not allocate if dst has room,
// because handlers call it on the server's thread.
func (e *Entry) Append(dst []byte) []byte {
	dst = append(append(dst, e.Kind...), '\t')
	dst = append(append(dst, e.Queue...), '\t')
	dst = append(append(dst, e.Key...), '\t')
	for _, n := range []int64{int64(e.Seq), e.Time.UnixNano(), int64(e.Process), int64(e.Attempt)} {
		dst = append(strconv.AppendInt(dst, n, 10), '\t')
	}
	dst = append(strconv.AppendBool(dst, e.Redelivered), '\t')
	return append(append(dst, e.Note...), '\n')
}

// Parse is the inverse of Append, for a line without its line end.
func Parse(line string) (Entry, error) {
	f := strings.SplitN(line, "\t", 9)
	if len(f) != 9 {
		return Entry{}, fmt.Errorf("a ledger's line has 9 fields: %q", line)
	}
	e := Entry{Kind: Kind(f[0]), ID: ID{Queue: f[1], Key: f[2]}, Note: f[8], Redelivered: f[7] == "true"}
	var n [4]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(f[3+i], 10, 64); err != nil {
			return Entry{}, fmt.Errorf("%q: %w", line, err)
		}
	}
	e.Seq, e.Time, e.Process, e.Attempt = int(n[0]), time.Unix(0, n[1]), int(n[2]), int(n[3])
	return e, nil
}

// File is a ledger that is being written. A line is one write, so a killed writer
// leaves whole lines, and the system has them.
type File struct {
	mu   sync.Mutex
	file *os.File
	line []byte
}

// Open opens the ledger at path and appends to it.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return &File{file: f}, err
}

// Add writes an entry.
func (f *File) Add(e Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.line = e.Append(f.line[:0])
	_, err := f.file.Write(f.line)
	return err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Tail reads a ledger while it is being written.
type Tail struct {
	file *os.File
	rest string // a line whose end has not come yet
}

// NewTail reads the ledger at path from its beginning.
func NewTail(path string) (*Tail, error) {
	f, err := os.Open(path)
	return &Tail{file: f}, err
}

// Next returns what was added since the last call.
func (t *Tail) Next() ([]Entry, error) {
	text, err := io.ReadAll(t.file)
	if err != nil {
		return nil, err
	}
	all := t.rest + string(text)
	end := strings.LastIndexByte(all, '\n') + 1
	t.rest = all[end:]
	var entries []Entry
	for line := range strings.Lines(all[:end]) {
		e, err := Parse(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Close closes the file.
func (t *Tail) Close() error { return t.file.Close() }
