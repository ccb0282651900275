package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// message is a copy of a message, to be printed.
type message struct {
	amqp.Publishing
	Position             int // in its queue, from 1; 0 = not told
	Time                 time.Time
	Redelivered          bool
	Exchange, RoutingKey string
	Note                 string // more about where it passed
	Death                *death // for a dead letter
	enveloped            bool   // it came in an envelope
	malformed            error  // why its properties cannot be read; usually nil
}

// newMessage copies a delivery, or the message inside if it is an envelope. If the
// properties are malformed, the note says so and the rest is shown.
func newMessage(exchange, key, properties, body []byte, now time.Time) *message {
	m := &message{Time: now, Exchange: string(exchange), RoutingKey: string(key)}
	inside, content, err := publisher.Unwrap(properties, body)
	m.enveloped = len(content) != len(body)
	var p amqpproto.Properties
	if err == nil {
		if _, err = p.Decode(inside); err == nil {
			m.Publishing, err = p.Publishing()
		}
	} else if _, bad := p.Decode(properties); bad == nil { // the properties of the envelope itself
		m.Publishing, _ = p.Publishing()
	}
	if err != nil {
		m.malformed = err
		m.Note = "malformed properties: " + err.Error()
		if !m.enveloped {
			m.salvage(&p)
		}
	}
	m.Body = append([]byte(nil), content...)
	return m
}

// salvage reads properties with malformed headers as far as possible.
func (m *message) salvage(p *amqpproto.Properties) {
	headers := amqp.Table{}
	_ = p.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		value, err := v.Value()
		if err != nil {
			value = "(cannot be read)"
		}
		headers[string(key)] = value
		return true
	})
	p.Headers, p.Flags = nil, p.Flags&^amqpproto.FlagHeaders
	m.Publishing, _ = p.Publishing()
	m.Headers = headers
}

func deliveredMessage(d *client.Delivery, now time.Time) *message {
	m := newMessage(d.Exchange, d.RoutingKey, d.RawProperties, d.Body, now)
	m.Redelivered = d.Redelivered
	return m
}

// property is a property that is set, as text.
type property struct{ name, value string }

// properties lists the properties that are set, in the order of the wire.
func (m *message) properties() []property {
	all := []property{
		{"content_type", m.ContentType}, {"content_encoding", m.ContentEncoding}, {"delivery_mode", number(m.DeliveryMode)},
		{"priority", number(m.Priority)}, {"correlation_id", m.CorrelationId}, {"reply_to", m.ReplyTo},
		{"expiration", m.Expiration}, {"message_id", m.MessageId}, {"timestamp", ""},
		{"type", m.Type}, {"user_id", m.UserId}, {"app_id", m.AppId},
	}
	if !m.Timestamp.IsZero() {
		all[8].value = m.Timestamp.UTC().Format(time.RFC3339)
	}
	set := all[:0]
	for _, p := range all {
		if p.value != "" {
			set = append(set, p)
		}
	}
	return set
}

func number(n uint8) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// writeJSON writes one line.
func (m *message) writeJSON(w io.Writer) error {
	line := map[string]any{
		"time": m.Time.UTC().Format(time.RFC3339Nano), "exchange": m.Exchange, "routing_key": m.RoutingKey, "redelivered": m.Redelivered,
	}
	if m.Position > 0 {
		line["position"] = m.Position
	}
	if m.Note != "" {
		line["note"] = m.Note
	}
	if m.Death != nil {
		line["death"] = m.Death
	}
	properties := map[string]string{}
	for _, p := range m.properties() {
		properties[p.name] = p.value
	}
	line["properties"] = properties
	line["headers"] = plain(m.Headers)
	if utf8.Valid(m.Body) {
		line["body"] = string(m.Body)
	} else {
		line["body_base64"] = m.Body
	}
	return json.NewEncoder(w).Encode(line)
}

// plain converts a value of AMQP to one that JSON has.
func plain(v any) any {
	switch v := v.(type) {
	case amqp.Table:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return v // base64
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case amqp.Decimal:
		return decimalText(v)
	case float32, float64:
		if _, err := json.Marshal(v); err != nil {
			return fmt.Sprint(v) // JSON knows no infinity
		}
	}
	return v
}

func decimalText(d amqp.Decimal) string {
	digits := strconv.FormatInt(int64(d.Value), 10)
	sign, digits, _ := cutSign(digits)
	scale := int(d.Scale)
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func cutSign(digits string) (sign, rest string, negative bool) {
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		return "-", rest, true
	}
	return "", digits, false
}

// writeText writes for a person: exchange and routing key, properties, headers, body.
func (m *message) writeText(w io.Writer, withBody bool) error {
	var b strings.Builder
	if m.Position > 0 {
		fmt.Fprintf(&b, "#%d  ", m.Position)
	}
	fmt.Fprintf(&b, "%s  %s", m.Time.Format("15:04:05.000"), place(m.Exchange, m.RoutingKey))
	if m.Note != "" {
		b.WriteString("  " + m.Note)
	}
	if m.Redelivered {
		b.WriteString("  redelivered")
	}
	fmt.Fprintf(&b, "  %d B\n", len(m.Body))
	var set []string
	for _, p := range m.properties() {
		set = append(set, p.name+"="+visible(p.value))
	}
	if len(set) > 0 {
		fmt.Fprintf(&b, "  %s\n", strings.Join(set, "  "))
	}
	for _, key := range slices.Sorted(maps.Keys(m.Headers)) {
		text, err := json.Marshal(plain(m.Headers[key]))
		if err != nil {
			text = fmt.Append(nil, m.Headers[key])
		}
		fmt.Fprintf(&b, "  %s: %s\n", visible(key), text)
	}
	if withBody && len(m.Body) > 0 {
		body := strings.TrimSuffix(bodyText(m.Body), "\n")
		fmt.Fprintf(&b, "  | %s\n", strings.ReplaceAll(body, "\n", "\n  | "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bodyText returns the body as text for a terminal, without control characters.
func bodyText(body []byte) string {
	if !utf8.Valid(body) {
		return strconv.Quote(string(body))
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, string(body))
}

// visible quotes text that has invisible characters.
func visible(text string) string {
	for _, r := range text {
		if !unicode.IsPrint(r) || r == ' ' || r == '"' {
			return strconv.Quote(text)
		}
	}
	return text
}
