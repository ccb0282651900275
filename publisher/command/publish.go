package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"zamqp/amqpproto/client"
)

// publishCommand publishes messages and waits for the broker's confirms.
type publishCommand struct {
	broker  brokerFlags
	message messageFlags

	declare      bool
	exchangeType string
	bind         string
	arguments    headerList
	unroutable   bool // an unroutable message is no error
	lines        bool
	quiet        bool
}

func (c *CLI) publishCommand() *cobra.Command {
	var p publishCommand
	cmd := &cobra.Command{
		Use:   "publish [flags] (--queue QUEUE | --exchange EXCHANGE --key KEY) [BODY]",
		Short: "Publish a message and wait until the broker has it",
		Long: `Publish a message and wait until the broker has it. The body is the argument, or
--file, or standard input. The exit code is 0 when the broker has confirmed the
message and a queue has taken it, and 1, with the broker's text, when it was
refused or no queue is bound for it; --unroutable-ok allows the latter.

With --declare, what is missing on the way is made first: the exchange (durable,
of --exchange-type), and a queue bound to it, named by --bind or else by the
routing key. With --queue it is that queue.`,
		Example: `  zamqp publish --queue billing '{"order": 7}' --json
  zamqp publish -e orders -k order.created -f order.json --content-type application/json -H tenant=acme -H retries:=3
  zamqp publish --url amqp://user:secret@rabbit/shop -e logs -k app.info --declare --exchange-type topic --bind logs 'up'
  generate | zamqp publish --queue work --lines`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.run(c, cmd, args) },
	}
	p.broker.add(cmd, c)
	p.message.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&p.declare, "declare", false, "declare exchange, queue and binding first, durable")
	flags.StringVar(&p.exchangeType, "exchange-type", "direct", "with --declare: direct, fanout, topic, headers or an x-… of a plugin")
	flags.StringVar(&p.bind, "bind", "", "with --declare: the `QUEUE` to declare and bind (default: the routing key)")
	flags.Var(&p.arguments, "queue-argument", "with --declare: an argument of the queue, as in `x-max-length:=1000`; repeatable")
	flags.BoolVar(&p.unroutable, "unroutable-ok", false, "a message that no queue takes is no error")
	flags.BoolVar(&p.lines, "lines", false, "each line of the body is a message of its own")
	flags.BoolVar(&p.quiet, "quiet", false, "print nothing on success")
	return cmd
}

func (p *publishCommand) run(c *CLI, cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if err := p.message.target(); err != nil {
		return err
	}
	if !p.declare && (p.bind != "" || p.arguments.table != nil || cmd.Flags().Changed("exchange-type")) {
		return errors.New("--exchange-type, --bind and --queue-argument say how to --declare, which is missing")
	}
	body, err := p.message.body(args, c.Stdin)
	if err != nil {
		return err
	}
	o, err := p.message.outgoing(body, cmd.Flags(), time.Now())
	if err != nil {
		return err
	}
	o.Mandatory = !p.unroutable
	s, err := c.open(ctx, &p.broker, "publish")
	if err != nil {
		return err
	}
	defer s.close()
	producer, err := p.topology(ctx, s)
	if err != nil {
		return failure{fmt.Errorf("not published: %w", err)}
	}
	n, err := p.send(ctx, s, producer, o)
	if err != nil {
		if n > 0 {
			err = fmt.Errorf("after %d messages: %w", n, err)
		}
		if returned := (*client.ReturnError)(nil); errors.As(err, &returned) {
			err = fmt.Errorf("%w; --declare does that, and with --unroutable-ok it is no error", err)
		}
		return failure{err}
	}
	if !p.quiet {
		fmt.Fprintf(c.Stdout, "%s published to %s, confirmed by the broker\n", counted(n, "message"), place(o.Exchange, o.RoutingKey))
	}
	return nil
}

// topology returns what --declare declares.
func (p *publishCommand) topology(ctx context.Context, s *session) (*client.Producer, error) {
	if !p.declare {
		return nil, nil
	}
	m := &p.message
	queue := p.bind
	if queue == "" {
		queue = m.key
	}
	top := client.Topology{}
	if m.exchange != "" {
		top.Exchanges = []client.Exchange{{Name: m.exchange, Type: p.exchangeType, Durable: true}}
	}
	if queue != "" {
		top.Queues = []client.Queue{{Name: queue, Durable: true, Args: p.arguments.table}}
		top.Bindings = []client.Binding{{Queue: queue, Exchange: m.exchange, RoutingKey: m.key}}
	}
	return s.produce(ctx, client.ProducerSpec{Name: "publish", Topology: top})
}

// send publishes the body, or each of its lines; n is how many were confirmed.
func (p *publishCommand) send(ctx context.Context, s *session, producer *client.Producer, o *client.Outgoing) (n int, err error) {
	if !p.lines {
		if err := s.publish(ctx, producer, o); err != nil {
			return 0, err
		}
		return 1, nil
	}
	// Several lines are unconfirmed at a time: one by one, a file with a million lines would
	// take a million round trips.
	window := make(chan error, publishWindow)
	sent := 0
	settle := func() error {
		select {
		case err := <-window:
			if err == nil {
				n++
			}
			return err
		case <-s.lost:
			return s.cause
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(o.Body))
	lines.Buffer(nil, len(o.Body)+1)
	for lines.Scan() {
		if sent-n >= publishWindow {
			if err := settle(); err != nil {
				return n, err
			}
		}
		one := *o
		one.Body = bytes.Clone(lines.Bytes())
		sent++
		s.Loop.Post(func() {
			if err := s.Client.Publish(producer, &one, confirmed(func(err error) { window <- err })); err != nil {
				window <- err
			}
		})
	}
	for n < sent {
		if err := settle(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// publishWindow is how many lines are unconfirmed at a time.
const publishWindow = 256

// place names the exchange and routing key of a message, or its queue.
func place(exchange, key string) string {
	if exchange == "" {
		return fmt.Sprintf("queue %q", key)
	}
	return fmt.Sprintf("exchange %q by %q", exchange, key)
}

// counted returns "1 message", "2 messages".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
