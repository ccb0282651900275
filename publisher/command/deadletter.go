package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streadway/amqp"

	"zamqp/publisher"
	"zamqp/publisher/logging"
)

// death says how a message came into a dead-letter queue, by its headers: ours, or else the
// broker's x-death.
type death struct {
	Queue      string    `json:"queue,omitempty"` // the queue where it failed; "" = not known
	Exchange   string    `json:"exchange"`        // the exchange of its first publish
	RoutingKey string    `json:"routing_key,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Error      string    `json:"error,omitempty"`
	Handler    string    `json:"handler,omitempty"`
	Attempts   int64     `json:"attempts,omitempty"`
	Time       time.Time `json:"time,omitzero"`
}

// deathOf reads the headers of a message.
func deathOf(headers amqp.Table) death {
	text := func(name string) string {
		switch v := headers[name].(type) {
		case string:
			return v
		case []byte:
			return string(v)
		}
		return ""
	}
	if queue := text(publisher.TraceQueue); queue != "" || text(publisher.TraceReason) != "" {
		d := death{
			Queue: queue, Exchange: text(publisher.TraceExchange), RoutingKey: text(publisher.TraceRoutingKey),
			Reason: text(publisher.TraceReason), Error: text(publisher.TraceError), Handler: text(publisher.TraceHandler), Attempts: integer(headers[publisher.TraceAttempt]),
		}
		d.Time, _ = headers[publisher.TraceTime].(time.Time)
		return d
	}
	// The latest death is the first entry. The oldest one has the queue that the message
	// was meant for.
	deaths, _ := headers["x-death"].([]any)
	if len(deaths) == 0 {
		return death{Queue: text("x-first-death-queue"), Exchange: text("x-first-death-exchange"), Reason: text("x-first-death-reason")}
	}
	first, _ := deaths[len(deaths)-1].(amqp.Table)
	last, _ := deaths[0].(amqp.Table)
	var d death
	d.Queue, _ = first["queue"].(string)
	d.Exchange, _ = first["exchange"].(string)
	d.Reason, _ = last["reason"].(string)
	d.Time, _ = last["time"].(time.Time)
	if keys, ok := first["routing-keys"].([]any); ok && len(keys) > 0 {
		d.RoutingKey = fmt.Sprint(keys[0])
	}
	d.Attempts = integer(last["count"])
	return d
}

func integer(v any) int64 {
	switch n := v.(type) {
	case int8:
		return int64(n)
	case uint8:
		return int64(n)
	case int16:
		return int64(n)
	case uint16:
		return int64(n)
	case int32:
		return int64(n)
	case uint32:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

// text returns one line for a person.
func (d *death) text() string {
	var b strings.Builder
	b.WriteString("dead: ")
	if d.Reason == "" && d.Queue == "" {
		b.WriteString("nothing in its headers says why")
		return b.String()
	}
	b.WriteString(logging.OneLine(orWord(d.Reason, "for no known reason")))
	if d.Queue != "" {
		fmt.Fprintf(&b, ", in queue %q", d.Queue)
	}
	if d.Handler != "" {
		fmt.Fprintf(&b, ", handler %s", logging.OneLine(d.Handler))
	}
	if d.Attempts > 0 {
		fmt.Fprintf(&b, ", %s", counted(int(d.Attempts), "attempt"))
	}
	if !d.Time.IsZero() {
		fmt.Fprintf(&b, ", at %s", d.Time.UTC().Format(time.RFC3339))
	}
	if d.Exchange != "" || d.RoutingKey != "" {
		fmt.Fprintf(&b, "; published to %s", place(d.Exchange, d.RoutingKey))
	}
	if d.Error != "" {
		fmt.Fprintf(&b, "\n  error: %s", strings.ReplaceAll(bodyText([]byte(d.Error)), "\n", "\n  "))
	}
	return b.String()
}

func orWord(text, word string) string {
	if text == "" {
		return word
	}
	return text
}

// selection picks messages of a queue.
type selection struct {
	all       bool
	positions []string
	ids       []string
	reason    string
	limit     int

	ranges [][2]int
	found  map[string]bool // those of ids and positions that have matched
}

func (x *selection) add(cmd *cobra.Command, limit int) {
	flags := cmd.Flags()
	flags.BoolVar(&x.all, "all", false, "all messages")
	flags.StringSliceVar(&x.positions, "position", nil, "those at these `POSITIONS`, as in 1,4-7; the oldest is 1")
	flags.StringSliceVar(&x.ids, "message-id", nil, "those with this message id; repeatable")
	flags.StringVar(&x.reason, "reason", "", "messages whose reason or error contains this text")
	flags.IntVar(&x.limit, "limit", limit, "look at this many messages at most")
	cmd.MarkFlagsMutuallyExclusive("all", "position")
	cmd.MarkFlagsMutuallyExclusive("all", "message-id")
	cmd.MarkFlagsMutuallyExclusive("all", "reason")
}

// parse checks the flags. With must, at least one of them has to select messages.
func (x *selection) parse(must bool) error {
	x.ranges = nil
	for _, text := range x.positions {
		from, to, ranged := strings.Cut(text, "-")
		if !ranged {
			to = from
		}
		a, err := strconv.Atoi(strings.TrimSpace(from))
		b, err2 := strconv.Atoi(strings.TrimSpace(to))
		if err != nil || err2 != nil || a < 1 || b < a {
			return fmt.Errorf("--position %q: write numbers from 1 and ranges, as in 1,4-7", text)
		}
		x.ranges = append(x.ranges, [2]int{a, b})
	}
	if x.limit < 1 {
		return errors.New("--limit: at least 1")
	}
	if must && !x.all && len(x.ranges) == 0 && len(x.ids) == 0 && x.reason == "" {
		return errors.New("which messages? Say --position, --message-id, --reason or --all")
	}
	return nil
}

// matches reports whether the flags select a message. A flag that is not given selects all.
func (x *selection) matches(position int, id string, texts ...string) bool {
	at := slices.IndexFunc(x.ranges, func(r [2]int) bool { return r[0] <= position && position <= r[1] })
	if len(x.ranges) > 0 && at < 0 {
		return false
	}
	if len(x.ids) > 0 && !slices.Contains(x.ids, id) {
		return false
	}
	if x.reason != "" && !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, x.reason) }) {
		return false
	}
	if x.found == nil {
		x.found = map[string]bool{}
	}
	if len(x.ids) > 0 {
		x.found["message id "+strconv.Quote(id)] = true
	}
	if at >= 0 {
		x.found["position "+rangeText(x.ranges[at])] = true
	}
	return true
}

// missing returns an error that names ids and positions without a message, so that a script
// notices.
func (x *selection) missing() error {
	var names []string
	for _, id := range x.ids {
		names = append(names, "message id "+strconv.Quote(id))
	}
	for _, r := range x.ranges {
		names = append(names, "position "+rangeText(r))
	}
	names = slices.DeleteFunc(names, func(name string) bool { return x.found[name] })
	if len(names) == 0 {
		return nil
	}
	const most = 5
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return fmt.Errorf("no message matches %s%s", strings.Join(names, ", "), more)
}

func rangeText(r [2]int) string {
	if r[0] == r[1] {
		return strconv.Itoa(r[0])
	}
	return fmt.Sprintf("%d-%d", r[0], r[1])
}

// last returns the highest position that can match, up to n.
func (x *selection) last(n int) int {
	if len(x.ranges) == 0 {
		return min(n, x.limit)
	}
	most := 0
	for _, r := range x.ranges {
		most = max(most, r[1])
	}
	return min(n, most)
}
