package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher/config"
)

// messageFlags describe a message to send: its exchange and routing key, its properties,
// and the source of its body.
type messageFlags struct {
	exchange, key, queue string
	file                 string
	json                 bool

	contentType, contentEncoding      string
	headers                           headerList
	transient                         bool
	priority                          uint8
	correlationID, replyTo, messageID string
	expiration                        time.Duration
	timestamp                         string
	kind, userID, appID               string
}

func (f *messageFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.exchange, "exchange", "e", "", "publish to this exchange (default: the default exchange, which routes to the queue of the key's name)")
	flags.StringVarP(&f.key, "key", "k", "", "routing key")
	flags.StringVarP(&f.queue, "queue", "q", "", "publish to this queue: the default exchange, with its name as the routing key")
	flags.StringVarP(&f.file, "file", "f", "", "take the body from `FILE`, - for standard input")
	flags.BoolVar(&f.json, "json", false, "the body is JSON: checked, and sent as application/json")
	flags.StringVar(&f.contentType, "content-type", "", "(default: text/plain for UTF-8, otherwise application/octet-stream)")
	flags.StringVar(&f.contentEncoding, "content-encoding", "", "for example gzip; the body is sent as it is")
	flags.VarP(&f.headers, "header", "H", "add to the headers table: `name=text`, or name:=JSON for numbers, booleans, null, lists and tables; repeatable")
	flags.BoolVar(&f.transient, "transient", false, "delivery mode 1: the message may be lost with the broker")
	flags.Uint8Var(&f.priority, "priority", 0, "")
	flags.StringVar(&f.correlationID, "correlation-id", "", "")
	flags.StringVar(&f.replyTo, "reply-to", "", "queue for replies")
	flags.DurationVar(&f.expiration, "expiration", 0, "the broker drops the message after this time in a queue, for example 90s")
	flags.StringVar(&f.messageID, "message-id", "", "")
	flags.StringVar(&f.timestamp, "timestamp", "", "now, RFC 3339, or seconds since 1970")
	flags.StringVar(&f.kind, "type", "", "message type")
	flags.StringVar(&f.userID, "user-id", "", "the broker refuses any other than the user that is logged in")
	flags.StringVar(&f.appID, "app-id", "", "")
	cmd.MarkFlagsMutuallyExclusive("queue", "exchange")
	cmd.MarkFlagsMutuallyExclusive("queue", "key")
	cmd.MarkFlagsMutuallyExclusive("json", "content-type")
	_ = cmd.MarkFlagFilename("file")
}

// target sets exchange and key from --queue.
func (f *messageFlags) target() error {
	if f.queue != "" {
		f.exchange, f.key = "", f.queue
	}
	if f.exchange == "" && f.key == "" {
		return errors.New("nowhere to publish to: name a queue with --queue, or an exchange with --exchange and a --key")
	}
	for _, name := range []string{f.exchange, f.key} {
		if len(name) > amqpproto.ShortstrMax {
			return fmt.Errorf("%.40q…: %s", name, config.TooLong(name))
		}
	}
	return nil
}

// body returns the argument, or the file, or else standard input.
func (f *messageFlags) body(args []string, stdin io.Reader) (body []byte, err error) {
	switch {
	case len(args) > 0 && f.file != "":
		return nil, errors.New("a body as an argument and --file: which one?")
	case len(args) > 0:
		body = []byte(args[0])
	case f.file == "" && isTerminalInput(stdin):
		return nil, errors.New("no body: give it as an argument, with --file FILE, or by a pipe; '' is an empty one")
	case f.file == "" || f.file == "-":
		if stdin == nil {
			stdin = strings.NewReader("")
		}
		if body, err = io.ReadAll(stdin); err != nil {
			return nil, failure{fmt.Errorf("standard input: %w", err)}
		}
	default:
		if body, err = os.ReadFile(f.file); err != nil {
			return nil, failure{err}
		}
	}
	if f.json && !json.Valid(body) {
		return nil, failure{errors.New("--json: the body is not JSON")}
	}
	return body, nil
}

func isTerminalInput(r io.Reader) bool {
	file, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// outgoing returns the message as the client sends it.
func (f *messageFlags) outgoing(body []byte, changed *pflag.FlagSet, now time.Time) (*client.Outgoing, error) {
	p := amqp.Publishing{
		ContentType: f.contentType, ContentEncoding: f.contentEncoding, DeliveryMode: amqp.Persistent,
		Priority: f.priority, CorrelationId: f.correlationID, ReplyTo: f.replyTo, MessageId: f.messageID,
		Type: f.kind, UserId: f.userID, AppId: f.appID, Headers: amqp.Table(f.headers.table),
	}
	switch {
	case f.json:
		p.ContentType = "application/json"
	case changed.Changed("content-type"): // also if empty: then none is sent
	case utf8.Valid(body):
		p.ContentType = "text/plain"
	default:
		p.ContentType = "application/octet-stream"
	}
	if f.transient {
		p.DeliveryMode = amqp.Transient
	}
	if changed.Changed("expiration") {
		if f.expiration < 0 {
			return nil, errors.New("--expiration: a time that has passed")
		}
		if f.expiration > 0 && f.expiration < time.Millisecond {
			return nil, errors.New("--expiration: AMQP counts in milliseconds: write 1ms or more, or 0, which delivers only to a consumer that is waiting")
		}
		if f.expiration%time.Millisecond != 0 {
			return nil, fmt.Errorf("--expiration %s: AMQP counts in milliseconds: write %s", f.expiration, f.expiration.Truncate(time.Millisecond))
		}
		p.Expiration = strconv.FormatInt(f.expiration.Milliseconds(), 10)
	}
	var err error
	if p.Timestamp, err = parseTimestamp(f.timestamp, now); err != nil {
		return nil, err
	}
	raw, err := amqpproto.AppendPublishing(nil, &p)
	if err != nil {
		return nil, err
	}
	return &client.Outgoing{Exchange: f.exchange, RoutingKey: f.key, Mandatory: true, RawProperties: raw, Body: body, LargeLent: true}, nil
}

func parseTimestamp(text string, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, nil
	case "now":
		return now, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		return time.Unix(seconds, 0), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf(`--timestamp %q: write now, seconds since 1970, or RFC 3339 as in "2026-01-31T12:00:00Z"`, text)
	}
	if t.Nanosecond() != 0 || t.Unix() < 0 {
		return t, fmt.Errorf("--timestamp %q: AMQP counts whole seconds since 1970", text)
	}
	return t, nil
}

// headerList is the value of a flag that adds to a table.
type headerList struct{ table amqp.Table }

func (l *headerList) String() string { return "" }

func (l *headerList) Type() string { return "name=value" }

func (l *headerList) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || name == ":" {
		return errors.New("write name=text, or name:=JSON")
	}
	if l.table == nil {
		l.table = amqp.Table{}
	}
	name, typed := strings.CutSuffix(name, ":")
	if _, twice := l.table[name]; twice {
		return fmt.Errorf("%s is there twice: a table has each name once", name)
	}
	if !typed {
		l.table[name] = value
		return nil
	}
	v, err := fieldOf(value)
	if errors.Is(err, errNotJSON) {
		return fmt.Errorf("%s is not JSON; write %s=%s for text", value, name, value)
	}
	if err != nil {
		return err
	}
	l.table[name] = v
	return nil
}
