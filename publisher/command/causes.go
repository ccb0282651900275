package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"zamqp/publisher/logging"
)

// cause is a row of the list of a queue: messages with the same kind of failure.
type cause struct {
	Count   int    `json:"count"`
	Queue   string `json:"queue,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Handler string `json:"handler,omitempty"`
	Error   string `json:"error,omitempty"`        // the shape of their errors, or the text if all have the same
	Example string `json:"example,omitempty"`      // an example, if the texts differ
	Others  bool   `json:"other_errors,omitempty"` // their errors are rare, and counted together
}

const (
	// causesMax is how many rows are kept. All errors may be different, and only --limit
	// limits the number of messages.
	causesMax = 1000
	// causeNameMax is how much of the name of a queue, reason or handler is kept: the length
	// of a queue's name in AMQP. Headers come from others and can be long.
	causeNameMax = 255
)

// causes counts dead letters by queue, reason, handler and shape of the error. When there
// are too many rows, the rarest become one for each queue, reason and handler. If there
// are too many of these, the rarest are counted without a row. A frequent cause that
// comes late gets a row all the same.
type causes struct {
	of   map[cause]*cause
	rest int // messages without a row
}

func (c *causes) add(d *death) {
	text := firstLine(d.Error)
	key := cause{Queue: cut(d.Queue, causeNameMax), Reason: cut(d.Reason, causeNameMax), Handler: cut(d.Handler, causeNameMax), Error: shape(text)}
	row := c.of[key]
	if row == nil {
		if len(c.of) >= causesMax {
			c.fold()
		}
		// The texts are parts of headers; copy them, so that the headers can be freed.
		key.Queue, key.Reason, key.Handler = strings.Clone(key.Queue), strings.Clone(key.Reason), strings.Clone(key.Handler)
		row = c.row(key)
		row.Error = strings.Clone(text)
	}
	row.Count++
	if row.Example == "" && row.Error != text {
		row.Example, row.Error = row.Error, key.Error
	}
}

// row returns the row of a key, and makes it if there is none.
func (c *causes) row(key cause) *cause {
	row := c.of[key]
	if row == nil {
		if c.of == nil {
			c.of = map[cause]*cause{}
		}
		row = &cause{Queue: key.Queue, Reason: key.Reason, Handler: key.Handler, Others: key.Others}
		c.of[key] = row
	}
	return row
}

// fold makes room for more rows.
func (c *causes) fold() {
	rows := c.sorted()
	for _, key := range rows[len(rows)/2:] {
		if !key.Others {
			n := c.of[key].Count
			delete(c.of, key)
			c.row(cause{Queue: key.Queue, Reason: key.Reason, Handler: key.Handler, Others: true}).Count += n
		}
	}
	if room := causesMax * 3 / 4; len(c.of) > room {
		for _, key := range c.sorted()[room:] {
			c.rest += c.of[key].Count
			delete(c.of, key)
		}
	}
}

// sorted returns the keys, those with the most messages first.
func (c *causes) sorted() []cause {
	return slices.SortedFunc(maps.Keys(c.of), func(a, b cause) int { return rarer(c.of[a], c.of[b]) })
}

// rarer sorts rows: those with the most messages first, and others by their texts.
func rarer(a, b *cause) int {
	if a.Count != b.Count {
		return b.Count - a.Count
	}
	return strings.Compare(a.Queue+a.Reason+a.Handler+a.Error, b.Queue+b.Reason+b.Handler+b.Error)
}

// most returns up to rows rows, those with the most messages first; 0 = all that are kept.
// left is how many rows were left out, and messages is how many messages these have, together
// with those that have no row.
func (c *causes) most(rows int) (list []cause, left, messages int) {
	list = make([]cause, 0, len(c.of))
	for _, key := range c.sorted() {
		list = append(list, *c.of[key])
	}
	messages = c.rest
	if rows > 0 && len(list) > rows {
		for _, row := range list[rows:] {
			left++
			messages += row.Count
		}
		list = list[:rows]
	}
	return list, left, messages
}

// text returns the row for a person.
func (c *cause) text() string {
	text := logging.OneLine(orWord(c.Reason, "no reason told"))
	if c.Queue != "" {
		text += " in " + logging.OneLine(c.Queue)
	}
	if c.Handler != "" {
		text += ", handler " + logging.OneLine(c.Handler)
	}
	if c.Others {
		text += ": other errors, too many to list"
	}
	if c.Error != "" {
		text += ": " + logging.OneLine(c.Error)
	}
	return text
}

func writeCauses(w io.Writer, list []cause, left, messages int) {
	for i := range list {
		fmt.Fprintf(w, "  %6d  %s\n", list[i].Count, list[i].text())
	}
	switch {
	case left > 0:
		fmt.Fprintf(w, "  %6d  in %s that are not shown: --causes 0 shows all\n", messages, counted(left, "more kind"))
	case messages > 0:
		fmt.Fprintf(w, "  %6d  in more kinds, too many to list\n", messages)
	}
}

// shape returns an error without the parts that differ from message to message: words with
// digits, and text in quotation marks.
func shape(text string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		end := strings.IndexFunc(rest, isWordEnd)
		switch {
		case end == 0 && strings.IndexByte(`"'`+"`", rest[0]) >= 0:
			if n := strings.IndexByte(rest[1:], rest[0]); n >= 0 {
				b.WriteString(rest[:1] + "…" + rest[:1])
				rest = rest[n+2:]
				continue
			}
			fallthrough
		case end == 0:
			b.WriteByte(rest[0]) // all of them are ASCII
			rest = rest[1:]
		default:
			if end < 0 {
				end = len(rest)
			}
			if word := rest[:end]; strings.ContainsFunc(word, unicode.IsDigit) {
				b.WriteString("…")
			} else {
				b.WriteString(word)
			}
			rest = rest[end:]
		}
	}
	return b.String()
}

func isWordEnd(r rune) bool { return strings.ContainsRune(" ,;:=()[]{}<>/\"'`", r) }

// firstLine returns the first line of an error, cut if it is long: enough to group by.
func firstLine(text string) string {
	const most = 120
	for i, r := range text {
		if r == '\n' {
			return text[:i]
		}
		if i >= most {
			return text[:i] + "…"
		}
	}
	return text
}

// cut returns at most most octets of a text, with a mark if it was longer.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
