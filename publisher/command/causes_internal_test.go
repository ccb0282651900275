package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/publisher"
)

func TestShape(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"a timeout":                         "a timeout",
		"order 4711 not found":              "order … not found",
		"order 1f0c-9a not found":           "order … not found",
		`no row for "Alice" in "customers"`: `no row for "…" in "…"`,
		"it's down":                         "it's down",
		"dial tcp 10.0.0.1:5432: refused":   "dial tcp …:…: refused",
		"id=17, state=new":                  "id=…, state=new",
	} {
		if got := shape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCausesAreGrouped(t *testing.T) {
	var c causes
	for i := range 50_000 {
		c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: fmt.Sprint("order ", i, " not found\nand more")})
		if i < 50 {
			c.add(&death{Queue: "q", Reason: "attempts", Handler: "h", Error: strings.Repeat("x", i)})
		}
	}
	list, left, messages := c.most(20)
	if len(list) != 20 || left != 31 || messages != 31 || list[0].Count != 50_000 || list[0].Error != "order … not found" || list[0].Example != "order 0 not found" {
		t.Errorf("%d rows, %d and %d left: %+v", len(list), left, messages, list[0])
	}
	var b strings.Builder
	writeCauses(&b, list, left, messages)
	if out := b.String(); !strings.HasPrefix(out, "   50000  attempts in q, handler h: order … not found\n") || !strings.HasSuffix(out, "      31  in 31 more kinds that are not shown: --causes 0 shows all\n") {
		t.Errorf("%s", out)
	}
	if list, left, _ := c.most(0); len(list) != 51 || left != 0 {
		t.Errorf("%d rows, %d left", len(list), left)
	}
}

// letters returns a text of letters only, a different one for each n.
func letters(n int) string {
	text := ""
	for ; n > 0; n /= 26 {
		text += string(rune('a' + n%26))
	}
	return text
}

// TestManyCauses: the errors are all different, or also their handlers are. What is kept
// is bounded, each message is counted once, and a cause that is frequent has its row.
func TestManyCauses(t *testing.T) {
	const messages = 50_000
	long := strings.Repeat("x", 10_000)
	for name, handler := range map[string]func(int) string{
		"one handler":   func(int) string { return "h" },
		"many handlers": func(i int) string { return letters(i) + long },
	} {
		var c causes
		before, others := heap(), 0
		for i := range messages {
			d := death{Queue: "q", Reason: "attempts", Handler: handler(i), Error: letters(i) + "\n" + long}
			if i > messages/2 && i%5 == 0 {
				d.Handler, d.Error = "late", "the customer is gone"
				others++
			}
			c.add(&d)
			if len(c.of) > causesMax {
				t.Fatalf("%s: %d rows", name, len(c.of))
			}
		}
		if held := heap() - before; held > 2<<20 {
			t.Errorf("%s: %d octets held", name, held)
		}
		list, left, out := c.most(20)
		in := 0
		late := cause{}
		for _, row := range list {
			in += row.Count
			if row.Error == "the customer is gone" {
				late = row
			}
		}
		if in+out != messages || len(list)+left > causesMax {
			t.Errorf("%s: %d in the list and %d out of it, of %d; %d and %d rows", name, in, out, messages, len(list), left)
		}
		if late.Count != others {
			t.Errorf("%s: the frequent one has %d of %d", name, late.Count, others)
		}
		var b strings.Builder
		list, left, out = c.most(0)
		writeCauses(&b, list, left, out)
		if lines := strings.Count(b.String(), "\n"); lines > causesMax+1 || left != 0 {
			t.Errorf("%s: %d lines, %d left", name, lines, left)
		}
		want := "attempts in q, handler h: other errors, too many to list\n"
		if name == "many handlers" {
			want = fmt.Sprintf("%6d  in more kinds, too many to list\n", out)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: no %q in %.400s", name, want, b.String())
		}
	}
}

// TestListOfManyCauses lists a queue in which each message has a different error.
func TestListOfManyCauses(t *testing.T) {
	for name, start := range massBrokers {
		t.Run(name, func(t *testing.T) {
			s := massSession(t, start(t), time.Minute)
			queue := massQueue(t, s, nil)
			const messages = 1500
			fillWith(t, s, queue, messages, func(i int) amqp.Publishing {
				return amqp.Publishing{Headers: amqp.Table{publisher.TraceQueue: "work", publisher.TraceReason: "attempts", publisher.TraceHandler: "h", publisher.TraceError: letters(i)}}
			})
			var out bytes.Buffer
			d := &deadCommand{pick: selection{limit: 1_000_000}}
			if err := d.listOne(t.Context(), &CLI{Stdout: &out, Stderr: &out}, s, deadQueue{queue: queue}); err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(out.String(), "\n"); lines > causesMax+1 || !strings.HasPrefix(out.String(), queue+"  1500 messages\n") ||
				!strings.Contains(out.String(), "attempts in work, handler h: other errors, too many to list\n") {
				t.Errorf("%d lines: %.400s", lines, out.String())
			}
		})
	}
}
