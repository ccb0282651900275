package publisher

import (
	"errors"
	"strings"
	"time"
)

// Dedupe makes a consumer remember the ids of the messages that it has handled. A message
// with an id that has been handled is acked, and not handled again.
//
// The ids are in files of server.data_dir, which belongs to one process. An id is written when
// the call of its message has committed, and the message is acked when that is on disk. If a
// process is killed between the commit and the write, the message is handled once more.
//
// With a Database the ids are rows there, and all processes share them. An id is committed with
// what the handler writes by [Request.SQL] in that database: exactly once, whatever dies. The
// tables are made by "zamqp sql init".
type Dedupe struct {
	// Key is "message_id" or "header:NAME". "" turns dedupe off. A message without an id is
	// handled as usual.
	Key string `key:"key"`
	// Keep is how long an id is remembered; 0 is 24 hours.
	Keep time.Duration `key:"keep" min:"1s" max:"8760h"`
	// Database is the name of the [Database] with the ids; "" keeps them in files.
	Database string `key:"database"`
	// Max is how many ids are remembered in files, the newest ones; 0 is 1000000. Each takes
	// about 80 octets of memory.
	Max int `key:"max" min:"1000" max:"100000000"`
}

// Defaults of [Dedupe].
const (
	DedupeKeep = 24 * time.Hour
	DedupeMax  = 1_000_000
)

// WithDefaults fills the zero fields in. Without a key nothing is set.
func (d Dedupe) WithDefaults() Dedupe {
	if d.Key == "" {
		return Dedupe{}
	}
	if d.Keep == 0 {
		d.Keep = DedupeKeep
	}
	if d.Max == 0 && d.Database == "" {
		d.Max = DedupeMax
	}
	return d
}

// Of returns the function that finds the id of a message; nil without a key. The function returns
// an empty id for a message that has none.
func (d Dedupe) Of() (func(c *Call) []byte, error) {
	if d.Key == "" {
		return nil, nil
	}
	if d.Key == "message_id" {
		return func(c *Call) []byte { return c.Request().MessageID() }, nil
	}
	if name, is := strings.CutPrefix(d.Key, "header:"); is && name != "" {
		return func(c *Call) []byte { return []byte(c.Request().Header(name)) }, nil
	}
	return nil, errors.New(`no such key: write "message_id" or "header:NAME"`)
}
