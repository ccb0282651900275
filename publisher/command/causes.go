package command

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode"

	"zamqp/publisher/logging"
)

// cause is a row of the list of a queue: messages with the same kind of failure.
type cause struct {
	Count   int    `json:"count"`
	Queue   string `json:"queue,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Handler string `json:"handler,omitempty"`
	Error   string `json:"error,omitempty"`   // their errors' shape, or the text if it is the same of all
	Example string `json:"example,omitempty"` // one of the texts, if there are several
}

// causes counts dead letters by queue, reason, handler and shape of the error.
type causes struct{ of map[cause]*cause }

func (c *causes) add(d *death) {
	text := firstLine(d.Error)
	key := cause{Queue: d.Queue, Reason: d.Reason, Handler: d.Handler, Error: shape(text)}
	if c.of == nil {
		c.of = map[cause]*cause{}
	}
	row := c.of[key]
	if row == nil {
		row = &cause{Queue: d.Queue, Reason: d.Reason, Handler: d.Handler, Error: text}
		c.of[key] = row
	}
	row.Count++
	if row.Example == "" && row.Error != text {
		row.Example, row.Error = row.Error, key.Error
	}
}

// most returns up to rows rows, those with the most messages first; 0 = all. left is how
// many rows were left out, with how many messages.
func (c *causes) most(rows int) (list []cause, left, messages int) {
	list = make([]cause, 0, len(c.of))
	for _, row := range c.of {
		list = append(list, *row)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		return a.Count > b.Count || a.Count == b.Count && a.Queue+a.Reason+a.Handler+a.Error < b.Queue+b.Reason+b.Handler+b.Error
	})
	if rows > 0 && len(list) > rows {
		for _, row := range list[rows:] {
			left++
			messages += row.Count
		}
		list = list[:rows]
	}
	return list, left, messages
}

// text is the row for a person.
func (c *cause) text() string {
	text := logging.OneLine(orWord(c.Reason, "no reason told"))
	if c.Queue != "" {
		text += " in " + logging.OneLine(c.Queue)
	}
	if c.Handler != "" {
		text += ", handler " + logging.OneLine(c.Handler)
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
	if left > 0 {
		fmt.Fprintf(w, "  %6d  in %s that are not shown: --causes 0 shows all\n", messages, counted(left, "more kind"))
	}
}

// shape is an error without the parts that differ from message to message: words with
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

// firstLine is the first line of an error, cut where it gets long: enough to group by.
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
