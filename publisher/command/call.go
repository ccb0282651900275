package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/publisher/logging"
)

// callCommand sends a request over AMQP and prints the reply.
type callCommand struct {
	broker  brokerFlags
	message messageFlags
	json    bool // print the whole reply
}

func (c *CLI) callCommand() *cobra.Command {
	var k callCommand
	cmd := &cobra.Command{
		Use:   "call [flags] (--queue QUEUE | --exchange EXCHANGE --key KEY) [BODY]",
		Short: "Send a request by AMQP and print the reply",
		Long: `Send a message with a reply_to and a correlation_id, wait for the reply, and print
its body. Replies come to a queue of the command's own, which ends with it.
The exit code is 1 when no queue takes the request, no reply comes within --timeout,
or the reply says that the request has failed: a header x-status of 400 or more. Its
body is printed in any case. The request expires after --timeout, unless --expiration
says otherwise, so that nobody works on it when the command has gone.`,
		Example: `  zamqp call --queue hello '{"name": "world"}' --json
  zamqp call -e rpc -k price -H currency=EUR 4711 --timeout 2s`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return k.run(c, cmd, args) },
	}
	k.broker.add(cmd, c)
	k.message.add(cmd)
	cmd.Flags().BoolVar(&k.json, "reply-json", false, "print the whole reply, with its properties and headers, as a JSON object")
	_ = cmd.Flags().MarkHidden("reply-to") // the command sets it
	return cmd
}

func (k *callCommand) run(c *CLI, cmd *cobra.Command, args []string) error {
	m := &k.message
	if err := m.target(); err != nil {
		return err
	}
	if m.replyTo != "" {
		return errors.New("--reply-to is the command's own queue: use publish to have the reply elsewhere")
	}
	body, err := m.body(args, c.Stdin)
	if err != nil {
		return err
	}
	if m.correlationID == "" {
		m.correlationID = rand.Text()
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	s, err := c.open(ctx, &k.broker, "call")
	if err != nil {
		return err
	}
	defer s.close()
	// After the timeout the request is of no use. Brokers other than RabbitMQ and the
	// embedded one understand expiration differently.
	if !cmd.Flags().Changed("expiration") && s.takesArguments(ctx) {
		_ = cmd.Flags().Set("expiration", k.broker.timeout.String())
	}
	reply, err := k.call(ctx, s, cmd, body)
	if err != nil {
		return failure{err}
	}
	if k.json {
		err = reply.writeJSON(c.Stdout)
	} else if _, err = c.data().Write(reply.Body); err == nil && len(reply.Body) > 0 && reply.Body[len(reply.Body)-1] != '\n' {
		_, err = fmt.Fprintln(c.Stdout)
	}
	if err == nil {
		err = failedReply(reply)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// data returns standard output for the octets of the command's result. A file or another
// program gets them unchanged, a terminal gets them quoted.
func (c *CLI) data() io.Writer {
	if out, ok := logging.Bare(c.Stdout).(*output); ok && !logging.IsTerminal(out.w) {
		return out
	}
	return c.Stdout
}

// failedReply returns the error that a reply reports; nil = success.
func failedReply(m *message) error {
	if m.malformed != nil {
		return fmt.Errorf("the reply cannot be read: %w", m.malformed)
	}
	if status := integer(m.Headers[publisher.StatusHeader]); status >= 400 {
		return fmt.Errorf("the request has failed: the reply has the status %d (%s)", status, publisher.StatusHeader)
	}
	return nil
}

func (k *callCommand) call(ctx context.Context, s *session, cmd *cobra.Command, body []byte) (*message, error) {
	replies := make(chan *message, 1)
	sink := sinkFunc(func(d *client.Delivery) {
		m := deliveredMessage(d, time.Now())
		if m.CorrelationId != k.message.correlationID {
			return // the mistake of the other side
		}
		select {
		case replies <- m:
		default: // a second reply
		}
	})
	spec := client.ConsumerSpec{
		Name: "call", NoAck: true,
		Topology: client.Topology{Queues: []client.Queue{{Exclusive: true, AutoDelete: true}}},
	}
	queue, err := s.consume(ctx, spec, sink, nil)
	if err != nil {
		return nil, err
	}
	k.message.replyTo = queue
	o, err := k.message.outgoing(body, cmd.Flags(), time.Now())
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx, nil, o); err != nil {
		return nil, err
	}
	timer := time.NewTimer(k.broker.timeout)
	defer timer.Stop()
	select {
	case m := <-replies:
		return m, nil
	case <-timer.C:
		return nil, fmt.Errorf("no reply within %s (--timeout); %s has taken the request", k.broker.timeout, place(o.Exchange, o.RoutingKey))
	case <-s.lost:
		return nil, s.cause
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
