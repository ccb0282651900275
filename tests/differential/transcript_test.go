package differential_test

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

type table = amqp.Table

func encoded(t table) amqpproto.RawTable { return must(amqpproto.AppendTable(nil, t)) }

// show is a message as one line of a transcript.
func show(m *message) string {
	if m.fault != "" {
		return "FAULT " + m.fault
	}
	switch x := m.method.(type) {
	case *amqpproto.ConnectionClose:
		return closing("connection.close", x.ReplyCode, x.ReplyText, x.ClassID, x.MethodID)
	case *amqpproto.ChannelClose:
		return closing("channel.close", x.ReplyCode, x.ReplyText, x.ClassID, x.MethodID)
	case *amqpproto.QueueDeclareOk:
		return fmt.Sprintf("queue.declare-ok %s messages=%d consumers=%d", x.Queue, x.MessageCount, x.ConsumerCount)
	case *amqpproto.QueuePurgeOk:
		return fmt.Sprintf("queue.purge-ok %d", x.MessageCount)
	case *amqpproto.QueueDeleteOk:
		return fmt.Sprintf("queue.delete-ok %d", x.MessageCount)
	case *amqpproto.BasicConsumeOk:
		return fmt.Sprintf("basic.consume-ok %s", x.ConsumerTag)
	case *amqpproto.BasicCancelOk:
		return fmt.Sprintf("basic.cancel-ok %s", x.ConsumerTag)
	case *amqpproto.BasicCancel:
		return fmt.Sprintf("basic.cancel %s nowait=%v", x.ConsumerTag, x.NoWait)
	case *amqpproto.BasicReturn:
		return fmt.Sprintf("basic.return %d %s exchange=%q key=%q %s", x.ReplyCode, x.ReplyText, x.Exchange, x.RoutingKey, content(m))
	case *amqpproto.BasicGetOk:
		return fmt.Sprintf("basic.get-ok redelivered=%v exchange=%q key=%q left=%d %s", x.Redelivered, x.Exchange, x.RoutingKey, x.MessageCount, content(m))
	case *amqpproto.BasicDeliver:
		return fmt.Sprintf("basic.deliver %s redelivered=%v exchange=%q key=%q %s", x.ConsumerTag, x.Redelivered, x.Exchange, x.RoutingKey, content(m))
	case *amqpproto.ChannelFlowOk:
		return fmt.Sprintf("channel.flow-ok %v", x.Active)
	case *amqpproto.ConnectionTune:
		return fmt.Sprintf("connection.tune channel-max=%d frame-max=%d heartbeat=%d", x.ChannelMax, x.FrameMax, x.Heartbeat)
	}
	return m.id.String()
}

// lineBreak is where Erlang breaks a long term.
var lineBreak = regexp.MustCompile(`\n *`)

// closing shows the text of a channel's end, which people read. Of the end of a connection it
// shows only the name in the text: there RabbitMQ prints Erlang terms.
func closing(method string, code uint16, text []byte, class, id uint16) string {
	words := lineBreak.ReplaceAllString(string(text), "")
	if method == "connection.close" {
		words, _, _ = strings.Cut(words, " - ")
		if code == amqpproto.FrameError {
			// In a broken frame, the method is not certain.
			return fmt.Sprintf("%s %d %q", method, code, words)
		}
	}
	return fmt.Sprintf("%s %d %q by %s", method, code, words, amqpproto.NewMethodID(class, id))
}

// content shows properties and body. Headers are sorted, as their order has no
// meaning, with the types that a client decodes.
func content(m *message) string {
	var p amqpproto.Properties
	if _, err := p.Decode(m.props); err != nil {
		return "properties=" + hex.EncodeToString(m.props) + " " + body(m.body)
	}
	var out []string
	add := func(flag uint16, name string, value any) {
		if p.Has(flag) {
			out = append(out, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add(amqpproto.FlagContentType, "content-type", string(p.ContentType))
	add(amqpproto.FlagContentEncoding, "content-encoding", string(p.ContentEncoding))
	if p.Has(amqpproto.FlagHeaders) {
		out = append(out, "headers="+fields(p.Headers, ""))
	}
	add(amqpproto.FlagDeliveryMode, "delivery-mode", p.DeliveryMode)
	add(amqpproto.FlagPriority, "priority", p.Priority)
	add(amqpproto.FlagCorrelationID, "correlation-id", string(p.CorrelationID))
	add(amqpproto.FlagReplyTo, "reply-to", string(p.ReplyTo))
	add(amqpproto.FlagExpiration, "expiration", string(p.Expiration))
	add(amqpproto.FlagMessageID, "message-id", string(p.MessageID))
	add(amqpproto.FlagTimestamp, "timestamp", p.Timestamp)
	add(amqpproto.FlagType, "type", string(p.Type))
	add(amqpproto.FlagUserID, "user-id", string(p.UserID))
	add(amqpproto.FlagAppID, "app-id", string(p.AppID))
	add(amqpproto.FlagClusterID, "cluster-id", string(p.ClusterID))
	return strings.Join(out, " ") + " " + body(m.body)
}

// body shows a body that is what the program has sent by its name and length.
func body(b []byte) string {
	name, _, _ := strings.Cut(string(b), ".")
	if string(b) == payload(name, len(b)) {
		return fmt.Sprintf("body=%s/%d", name, len(b))
	}
	if len(b) > 40 {
		return fmt.Sprintf("body=%q…/%d", b[:40], len(b))
	}
	return fmt.Sprintf("body=%q", b)
}

// payload is a body of a name and a length; one shorter than its name is cut.
func payload(name string, length int) string {
	const filler = "0123456789abcdefghijklmnopqrstuvwxyz"
	if length <= len(name) {
		return name[:length]
	}
	rest := length - len(name) - 1
	return name + "." + strings.Repeat(filler, rest/len(filler)+1)[:rest]
}

func fields(t amqpproto.RawTable, inside string) string {
	var out []string
	err := t.Each(func(key []byte, v amqpproto.Field) bool {
		out = append(out, string(key)+":"+field(v, inside+"/"+string(key)))
		return true
	})
	if err != nil {
		return "broken:" + hex.EncodeToString(t)
	}
	slices.Sort(out)
	return "{" + strings.Join(out, " ") + "}"
}

// field shows one value with its type. The times of x-death are when the test
// ran, so that only their presence is comparable.
func field(v amqpproto.Field, path string) string {
	typ := string(rune(v.Type))
	switch v.Type {
	case amqpproto.FieldTable:
		return fields(v.Raw, path)
	case amqpproto.FieldArray:
		var out []string
		if err := v.Each(func(v amqpproto.Field) bool { out = append(out, field(v, path)); return true }); err != nil {
			return "broken"
		}
		return "[" + strings.Join(out, " ") + "]"
	case amqpproto.FieldString, amqpproto.FieldBytes:
		return typ + fmt.Sprintf("%q", v.Raw)
	case amqpproto.FieldTimestamp:
		if strings.HasSuffix(path, "/x-death/time") {
			return typ
		}
	}
	if n, ok := v.Int(); ok {
		return fmt.Sprint(typ, n)
	}
	return typ + hex.EncodeToString(v.Raw)
}

// transcript is what one broker let the client see.
type transcript struct {
	steps []step
	took  time.Duration
}

// step is the result of one operation.
type step struct {
	what  string
	lines []string
	// A connection has ended on which several channels were at work. RabbitMQ ends
	// them one by one, so that what the first gives back may go to the second, on
	// the same dying connection, and be lost there if that takes without acks. Ours
	// ends all of them first.
	dying bool
}

func (t *transcript) equal(u *transcript) bool { return t.difference(u) < 0 }

// difference returns the first step in which they differ, or -1.
func (t *transcript) difference(u *transcript) int {
	for i := range max(len(t.steps), len(u.steps)) {
		if i >= len(t.steps) || i >= len(u.steps) || t.steps[i].what != u.steps[i].what ||
			!slices.Equal(t.steps[i].lines, u.steps[i].lines) {
			return i
		}
	}
	return -1
}

// String prints the whole.
func (t *transcript) String() string {
	var b strings.Builder
	for i, s := range t.steps {
		fmt.Fprintf(&b, "%2d  %s\n", i, s.what)
		for _, line := range s.lines {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	return b.String()
}

// excused reports whether the brokers may differ from this step on.
func (t *transcript) excused(u *transcript) bool {
	i := t.difference(u)
	return i >= 0 && i < len(t.steps) && i < len(u.steps) && t.steps[i].dying && u.steps[i].dying
}

// beside prints two transcripts up to their first difference, that step twice.
func beside(left, right string, t, u *transcript) string {
	var b strings.Builder
	at := t.difference(u)
	for i := 0; i <= at; i++ {
		if i < at {
			fmt.Fprintf(&b, "%2d  %s\n", i, t.steps[i].what)
			for _, line := range t.steps[i].lines {
				fmt.Fprintf(&b, "        %s\n", line)
			}
			continue
		}
		for _, side := range []struct {
			name string
			t    *transcript
		}{{left, t}, {right, u}} {
			if i >= len(side.t.steps) {
				fmt.Fprintf(&b, "%2d  %s: nothing more\n", i, side.name)
				continue
			}
			fmt.Fprintf(&b, "%2d  %s   [%s]\n", i, side.t.steps[i].what, side.name)
			for _, line := range side.t.steps[i].lines {
				fmt.Fprintf(&b, "        %s\n", line)
			}
		}
	}
	return b.String()
}
