package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// staysMax is how many messages that stay are listed by retry: a queue can be full of them.
const staysMax = 20

func (d *deadCommand) retry(c *CLI, cmd *cobra.Command, arg string) error {
	return d.within(c, cmd, arg, true, func(ctx context.Context, s *session, q deadQueue, n int) error {
		moved, failed := map[string]int{}, 0 // only queues that exist are in moved
		stays := func(position int, err error) {
			switch failed++; {
			case failed <= staysMax:
				fmt.Fprintf(c.Stderr, "#%d stays: %v\n", position, err)
			case failed == staysMax+1:
				fmt.Fprintln(c.Stderr, "others stay, too: their number comes at the end")
			}
		}
		err := d.picked(ctx, s, q, n, func(m *taken, death death) {
			to, o, err := d.revive(m, death, q.queue)
			if err != nil {
				m.keep()
				stays(m.Position, err)
				return
			}
			position := m.Position
			m.publish(o, func(err error) {
				if err != nil {
					stays(position, err)
					return
				}
				moved[to]++
			})
		})
		for _, to := range slices.Sorted(maps.Keys(moved)) {
			fmt.Fprintf(c.Stdout, "%s moved from %s to %s\n", counted(moved[to], "message"), q.queue, to)
		}
		if err == nil && len(moved) == 0 && failed == 0 && d.pick.missing() == nil {
			fmt.Fprintf(c.Stdout, "no message matches\n")
		}
		if err == nil && failed > 0 {
			err = fmt.Errorf("%s not moved", counted(failed, "message"))
		}
		return err
	})
}

// revive makes the original message of a dead letter.
func (d *deadCommand) revive(m *taken, death death, from string) (to string, o *client.Outgoing, err error) {
	to = d.to
	if to == "" {
		to = death.Queue
	}
	switch {
	case to == "":
		return "", nil, errors.New("its headers do not say where it failed: name the queue with --to")
	case m.malformed != nil:
		return "", nil, fmt.Errorf("no consumer could read it: %w; dead show shows the rest, dead drop deletes it", m.malformed)
	case to == from:
		return "", nil, fmt.Errorf("it failed in %q itself: name another queue with --to", to)
	}
	p := m.Publishing
	if exchange, key, ok := publisher.Untrace(&p); ok {
		// The message arrives by the default exchange. Its handler sees these values instead.
		if p.Headers == nil {
			p.Headers = amqp.Table{}
		}
		p.Headers[publisher.TraceExchange], p.Headers[publisher.TraceRoutingKey] = exchange, key
	}
	raw, err := amqpproto.AppendPublishing(nil, &p)
	if err != nil {
		return "", nil, err
	}
	o = &client.Outgoing{RoutingKey: to, Mandatory: true, RawProperties: raw, Body: m.Body, LargeLent: true}
	if most := m.walk.s.Client.PropertiesMax(); len(raw) > most && d.to == "" {
		// Its headers are too large for a frame. Its consumer can read an envelope.
		o.RawProperties, o.Prefix, err = publisher.Wrap(raw)
	}
	return to, o, err
}

func (d *deadCommand) drop(c *CLI, cmd *cobra.Command, arg string) error {
	return d.within(c, cmd, arg, true, func(ctx context.Context, s *session, q deadQueue, n int) error {
		dropped := 0
		err := d.picked(ctx, s, q, n, func(m *taken, _ death) {
			m.ack()
			dropped++
		})
		if err == nil || errors.Is(err, errNotBack) {
			fmt.Fprintf(c.Stdout, "%s dropped from %s\n", counted(dropped, "message"), q.queue)
		}
		return err
	})
}
