package logging

import (
	"bytes"
	"hash/maphash"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// repeatsWindow is the time in which lines of one kind are counted.
	repeatsWindow = time.Minute
	// repeatsKinds is how many kinds are counted apart. Lines of further ones count together.
	repeatsKinds = 512
)

// repeats is an output that leaves out lines when very many of one kind come, so that a broken
// broker or a hostile client does not fill the disk. Lines are of one kind if they have the same
// level and message, and concern the same thing. In a minute max lines of each kind are written,
// and in the minutes after one with more, only one line and how many others came.
type repeats struct {
	to    io.Writer // takes lines of JSON
	max   int
	after func(time.Duration, func()) // calls a function later; time.AfterFunc
	now   func() time.Time
	seed  maphash.Seed

	mu    sync.Mutex
	kinds map[uint64]*repeated
	timed bool // tell will be called
	left  uint64
}

// repeated counts the lines of one kind.
type repeated struct {
	since time.Time // when this window began
	n     int       // lines in it
	storm bool      // the window before had more than max
	left  uint64    // lines that were left out and not reported yet
	level zerolog.Level
	about [][]byte // message and fields, for the report
}

func newRepeats(to io.Writer, most int) *repeats {
	return &repeats{to: to, max: most, now: time.Now, seed: maphash.MakeSeed(), kinds: map[uint64]*repeated{},
		after: func(d time.Duration, fn func()) { time.AfterFunc(d, fn) }}
}

// Write writes a line without a level.
func (x *repeats) Write(p []byte) (int, error) { return x.to.Write(p) }

// WriteLevel writes a line, or counts it. It never leaves out the lines that were asked for, by the
// levels debug and trace or by the access log, nor those about the end of the process.
func (x *repeats) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if level < zerolog.InfoLevel || level > zerolog.ErrorLevel {
		return x.to.Write(p)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	r, now := x.kind(level, p), x.now()
	if now.Sub(r.since) >= repeatsWindow {
		r.storm, r.n, r.since = r.n > x.max && now.Sub(r.since) < 2*repeatsWindow, 0, now
	}
	r.n++
	if r.n <= x.max && !r.storm || r.n == 1 {
		return x.to.Write(p)
	}
	r.left++
	x.left++
	if !x.timed {
		x.timed = true
		x.after(repeatsWindow, x.tell)
	}
	return len(p), nil
}

// repeatsKeys are the fields that say what a line is about, as far as the configuration and the
// program name it.
var repeatsKeys = [][]byte{[]byte(`"handler":"`), []byte(`"consumer":"`), []byte(`"connection":"`), []byte(`"producer":"`),
	[]byte(`"clock":"`), []byte(`"topic":"`), []byte(`"listener":"`), []byte(`"database":"`)}

var messageKey = []byte(`"message":"`)

// kind returns the count of a line's kind.
func (x *repeats) kind(level zerolog.Level, p []byte) *repeated {
	about := [][]byte{valueOf(p, messageKey)}
	for _, key := range repeatsKeys {
		about = append(about, valueOf(p, key))
	}
	if bytes.Contains(p, repeatsKeys[2]) { // the name of a consumer or a producer; elsewhere clients give names
		about = append(about, valueOf(p, []byte(`"name":"`)))
	}
	if r := x.find(level, about); r != nil {
		return r
	}
	if r := x.find(level, about[:1]); r != nil {
		return r
	}
	for i := range about {
		about[i] = nil
	}
	r := x.kinds[0]
	if r == nil {
		r = &repeated{since: x.now(), level: level}
		x.kinds[0] = r
	}
	return r
}

// find returns a kind that is counted, or begins to count it; nil if there are too many.
func (x *repeats) find(level zerolog.Level, about [][]byte) *repeated {
	var h maphash.Hash
	h.SetSeed(x.seed)
	_ = h.WriteByte(byte(level))
	for _, part := range about {
		_, _ = h.Write(part)
		_ = h.WriteByte(0)
	}
	id := h.Sum64() | 1
	r := x.kinds[id]
	if r == nil && len(x.kinds) < repeatsKinds {
		r = &repeated{since: x.now(), level: level}
		for _, part := range about {
			r.about = append(r.about, bytes.Clone(part))
		}
		x.kinds[id] = r
	}
	return r
}

// valueOf returns the text of a field, as it is in the line; nil if there is none. Quotes in
// text are escaped, so text cannot look like a field.
func valueOf(line, key []byte) []byte {
	i := bytes.Index(line, key)
	if i < 0 {
		return nil
	}
	text := line[i+len(key):]
	for n := 0; n < len(text); n++ {
		switch text[n] {
		case '\\':
			n++
		case '"':
			return text[:n]
		}
	}
	return nil
}

// tell writes how many lines of each kind were left out, and forgets kinds that are over.
func (x *repeats) tell() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.timed = false
	now := x.now()
	for id, r := range x.kinds {
		if r.left > 0 {
			x.report(r)
			if !x.timed {
				x.timed = true
				x.after(repeatsWindow, x.tell)
			}
		}
		if now.Sub(r.since) >= 2*repeatsWindow {
			delete(x.kinds, id)
		}
	}
}

func (x *repeats) report(r *repeated) {
	log := zerolog.New(x.to)
	e := log.WithLevel(r.level).Timestamp().Uint64("left_out", r.left)
	if len(r.about) > 0 {
		e = e.RawJSON("of", append(append([]byte{'"'}, r.about[0]...), '"'))
	}
	for i, key := range repeatsKeys {
		if i+1 < len(r.about) && r.about[i+1] != nil {
			e = e.RawJSON(string(key[1:len(key)-3]), append(append([]byte{'"'}, r.about[i+1]...), '"'))
		}
	}
	r.left = 0
	e.Msg("lines of one kind were left out: very many came in a minute (log.repeat_max)")
}

// leftOut returns how many lines were left out.
func (x *repeats) leftOut() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.left
}
