package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streadway/amqp"

	"zamqp/amqpproto/client"
	"zamqp/publisher/logging"
)

// tapCommand prints messages while they pass.
type tapCommand struct {
	broker   brokerFlags
	exchange string
	keys     []string
	match    headerList
	queue    string
	trace    bool
	count    int
	wait     time.Duration
	json     bool
	noBody   bool

	printed int
	err     error // error of printing
}

func (c *CLI) tapCommand() *cobra.Command {
	var t tapCommand
	cmd := &cobra.Command{
		Use:   "tap [flags] (--exchange EXCHANGE [--key KEY]… | --queue QUEUE | --trace)",
		Short: "Print messages as they pass",
		Long: `Print messages as they pass, until --count have passed, --for is over, or Ctrl-C.

--exchange binds a queue of its own, which ends with the command, to the exchange,
so that nobody loses a message. It sees what is published from now on and matches
a --key; without one every message of a fanout or topic exchange. The default
exchange cannot be tapped: that would take a binding, which it refuses.

--queue shows what is in a queue now, oldest first, and puts it back to its place.
AMQP has no way to look at a message without taking it: while the command shows
them, consumers do not see these messages, afterwards they are marked as
redelivered, and a quorum queue counts the look as one more delivery toward its
x-delivery-limit (RabbitMQ before 4.3). What consumers have in hand cannot be seen. To follow what comes
into a queue, tap the exchange that it is bound to.

--trace shows every message that the broker takes and delivers, by its firehose,
the exchange amq.rabbitmq.trace. The embedded broker has it on while somebody
listens; RabbitMQ needs "rabbitmqctl trace_on -p VHOST" first, and trace_off
afterwards: it costs. --key publish.EXCHANGE or deliver.QUEUE narrows it.`,
		Example: `  zamqp tap --exchange orders --key 'order.*'
  zamqp tap --queue billing.dead --count 5 --json
  zamqp tap --trace --key 'publish.#'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return t.run(c, cmd) },
	}
	t.broker.add(cmd, c)
	flags := cmd.Flags()
	flags.StringVarP(&t.exchange, "exchange", "e", "", "show what is published to this exchange")
	flags.StringArrayVarP(&t.keys, "key", "k", nil, "and matches this routing key; repeatable")
	flags.Var(&t.match, "match", "argument of the binding to a headers exchange, as in `x-match=any`; repeatable")
	flags.StringVarP(&t.queue, "queue", "q", "", "show what is in this queue")
	flags.BoolVar(&t.trace, "trace", false, "show all that the broker takes and delivers")
	flags.IntVarP(&t.count, "count", "n", 0, "end after this many messages; 0 = do not end")
	flags.DurationVar(&t.wait, "for", 0, "end after this time; 0 = do not end")
	flags.BoolVar(&t.json, "json", false, "one JSON object a line")
	flags.BoolVar(&t.noBody, "no-body", false, "leave out the bodies (not with --json)")
	cmd.MarkFlagsMutuallyExclusive("exchange", "queue", "trace")
	cmd.MarkFlagsOneRequired("exchange", "queue", "trace")
	return cmd
}

func (t *tapCommand) run(c *CLI, cmd *cobra.Command) error {
	if cmd.Flags().Changed("exchange") && t.exchange == "" {
		return errors.New("the default exchange cannot be tapped: look into a queue with --queue, or use --trace")
	}
	switch {
	case t.queue != "" && (len(t.keys) > 0 || t.match.table != nil):
		return errors.New("--key and --match select messages of an exchange: a --queue is shown whole")
	case t.trace && t.match.table != nil:
		return errors.New("--match is for a headers exchange: narrow --trace by --key")
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	s, err := c.open(ctx, &t.broker, "tap")
	if err != nil {
		return err
	}
	defer s.close()
	if t.queue != "" {
		return t.peek(ctx, c, s)
	}
	return t.follow(ctx, c, s)
}

// peek shows the messages of a queue.
func (t *tapCommand) peek(ctx context.Context, c *CLI, s *session) error {
	n, _, err := s.info(ctx, t.queue)
	if err != nil {
		return failure{err}
	}
	if t.count > 0 {
		n = min(n, t.count)
	}
	err = s.walk(ctx, t.queue, n, func(m *taken) {
		m.keep()
		if t.print(c, m.message) {
			m.walk.stop()
		}
	})
	if err == nil {
		err = t.err
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// follow consumes from a queue of its own that is bound to an exchange. It prints on the
// loop's thread: if the terminal is slower than the broker, the broker waits, and this
// process does not grow.
func (t *tapCommand) follow(ctx context.Context, c *CLI, s *session) error {
	exchange, keys := t.exchange, t.keys
	if t.trace {
		exchange = traceExchange
	}
	if len(keys) == 0 {
		keys = []string{"#"} // all messages of a topic exchange; a fanout ignores it
	}
	end := make(chan error, 1)
	finish := func(err error) {
		select {
		case end <- err:
		default:
		}
	}
	top := client.Topology{Queues: []client.Queue{{Exclusive: true, AutoDelete: true}}}
	for _, key := range keys {
		top.Bindings = append(top.Bindings, client.Binding{Exchange: exchange, RoutingKey: key, Args: t.match.table})
	}
	sink := sinkFunc(func(d *client.Delivery) {
		m := deliveredMessage(d, time.Now())
		if t.trace {
			m.traced()
		}
		if t.print(c, m) {
			finish(t.err)
		}
	})
	_, err := s.consume(ctx, client.ConsumerSpec{Name: "tap", Topology: top, NoAck: true}, sink, finish)
	if err != nil {
		return failure{err}
	}
	fmt.Fprintf(c.Stderr, "tapping exchange %q by %s; Ctrl-C ends\n", exchange, strings.Join(keys, ", "))
	return t.until(ctx, s, end)
}

// until waits for the end of a tap.
func (t *tapCommand) until(ctx context.Context, s *session, end <-chan error) error {
	if t.wait > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, t.wait)
		defer cancel()
	}
	select {
	case err := <-end:
		if err != nil {
			return failure{err}
		}
	case <-s.lost:
		return failure{s.cause}
	case <-ctx.Done(): // the user has ended it
	}
	return nil
}

// print shows a message, and reports whether it was the last one to show.
func (t *tapCommand) print(c *CLI, m *message) (last bool) {
	if t.err != nil || t.count > 0 && t.printed >= t.count {
		return true
	}
	t.printed++
	if t.json {
		t.err = m.writeJSON(c.Stdout)
	} else {
		t.err = m.writeText(c.Stdout, !t.noBody)
	}
	return t.err != nil || t.printed == t.count
}

// sinkFunc makes a function a Sink of the client.
type sinkFunc func(*client.Delivery)

func (fn sinkFunc) Deliver(d *client.Delivery) { fn(d) }

// traceExchange is RabbitMQ's firehose. Published messages have the key
// publish.EXCHANGE, delivered ones deliver.QUEUE, and their properties are in headers.
const traceExchange = "amq.rabbitmq.trace"

// traced restores a message of the firehose.
func (m *message) traced() {
	headers := m.Headers
	way, name, _ := strings.Cut(m.RoutingKey, ".")
	m.Note = "published"
	if way == "deliver" {
		m.Note = fmt.Sprintf("delivered from queue %q", name)
	}
	if node, ok := headers["node"].(string); ok {
		m.Note += " at " + logging.OneLine(node)
	}
	m.Exchange, _ = headers["exchange_name"].(string)
	m.RoutingKey = ""
	if keys, ok := headers["routing_keys"].([]any); ok && len(keys) > 0 {
		m.RoutingKey = fmt.Sprint(plain(keys[0]))
	}
	if n, ok := headers["redelivered"].(int32); ok {
		m.Redelivered = n != 0
	}
	body := m.Body
	m.Publishing = amqp.Publishing{Body: body}
	if properties, ok := headers["properties"].(amqp.Table); ok {
		m.fill(properties)
	}
}

// fill sets the properties from the table in which the firehose has them.
func (m *message) fill(t amqp.Table) {
	text := func(name string) string { s, _ := t[name].(string); return s }
	small := func(name string) uint8 {
		switch n := t[name].(type) {
		case int8:
			return uint8(n)
		case uint8:
			return n
		case int32:
			return uint8(n)
		case int64:
			return uint8(n)
		}
		return 0
	}
	m.ContentType, m.ContentEncoding = text("content_type"), text("content_encoding")
	m.DeliveryMode, m.Priority = small("delivery_mode"), small("priority")
	m.CorrelationId, m.ReplyTo, m.Expiration = text("correlation_id"), text("reply_to"), text("expiration")
	m.MessageId, m.Type, m.UserId, m.AppId = text("message_id"), text("type"), text("user_id"), text("app_id")
	m.Headers, _ = t["headers"].(amqp.Table)
	switch n := t["timestamp"].(type) {
	case int32: // RabbitMQ sends only 32 bits here
		m.Timestamp = time.Unix(int64(uint32(n)), 0)
	case int64:
		m.Timestamp = time.Unix(n, 0)
	case time.Time:
		m.Timestamp = n
	}
}
