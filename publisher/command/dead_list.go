package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"zamqp/amqpproto"
	"zamqp/publisher"
	"zamqp/publisher/config"
)

// deadQueue is one dead-letter queue.
type deadQueue struct {
	connection string
	queue      string
	of         string // the consumer whose dead letters it has, if one was named
}

// locate finds the queue of an argument: the dead-letter queue of a consumer with that name,
// or the queue with that name.
func (d *deadCommand) locate(plan *config.Plan, cmd *cobra.Command, arg string) (deadQueue, error) {
	q := deadQueue{connection: d.broker.connection, queue: arg}
	names := instancesOf(plan, arg)
	if len(names) > 1 {
		return q, failure{fmt.Errorf("consumer %q runs in several consuming servers: name one of %s", arg, strings.Join(names, ", "))}
	}
	arg = names[0]
	consumer, ok := plan.Consumers[arg]
	if !ok {
		return q, nil
	}
	if !cmd.Flags().Changed("connection") && d.broker.url == "" {
		q.connection = consumer.Connection
	}
	q.of = arg
	if q.queue = consumer.DeadLetterQueue(); q.queue == "" {
		return q, failure{fmt.Errorf("consumer %q has no dead-letter queue of ours (%s): name the queue", arg, deadLetterText(consumer))}
	}
	return q, nil
}

// instancesOf are the instances that the name of a consumer means, where consuming servers
// run it. Any other text stays as it is.
func instancesOf(plan *config.Plan, arg string) (found []string) {
	if len(plan.ConsumingServers) > 0 {
		for name := range plan.Consumers {
			if consumer, _ := publisher.SplitInstance(name); consumer == arg {
				found = append(found, name)
			}
		}
	}
	if len(found) == 0 {
		return []string{arg}
	}
	slices.Sort(found)
	return found
}

// plan resolves the configuration. If that has problems, arguments can be queues, but
// not consumers.
func (d *deadCommand) plan(c *CLI, args []string) (*config.Plan, error) {
	s, err := d.broker.settings(c)
	if err != nil {
		return nil, err
	}
	plan, err := config.Resolve(s, c.Registry)
	if err == nil {
		return plan, nil
	}
	consumers := c.Registry.Consumers()
	for _, arg := range args {
		name, _ := publisher.SplitInstance(arg)
		if _, ok := consumers[name]; ok {
			return nil, failure{err}
		}
	}
	if len(args) == 0 {
		return nil, failure{err}
	}
	return &config.Plan{Settings: s}, nil
}

// queues returns the queues of the arguments, or all dead-letter queues of the plan.
func (d *deadCommand) queues(plan *config.Plan, cmd *cobra.Command, args []string) (all []deadQueue, err error) {
	seen := map[deadQueue]bool{}
	add := func(q deadQueue) {
		q.of = ""
		if !seen[q] {
			seen[q] = true
			all = append(all, q)
		}
	}
	for _, arg := range args {
		for _, name := range instancesOf(plan, arg) {
			q, err := d.locate(plan, cmd, name)
			if err != nil {
				return nil, err
			}
			add(q)
		}
	}
	if len(args) > 0 {
		return all, nil
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Consumers)) {
		consumer := plan.Consumers[name]
		q := deadQueue{connection: consumer.Connection, queue: consumer.DeadLetterQueue()}
		if d.broker.url != "" {
			q.connection = d.broker.connection
		} else if cmd.Flags().Changed("connection") && q.connection != d.broker.connection {
			continue
		}
		if q.queue != "" {
			add(q)
		}
	}
	return all, nil
}

func (d *deadCommand) list(c *CLI, cmd *cobra.Command, args []string) error {
	plan, err := d.plan(c, args)
	if err != nil {
		return err
	}
	queues, err := d.queues(plan, cmd, args)
	if err != nil {
		return err
	}
	if len(queues) == 0 {
		fmt.Fprintln(c.Stderr, "no consumer has a dead-letter queue")
		return nil
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	sort.SliceStable(queues, func(i, j int) bool { return queues[i].connection < queues[j].connection })
	var s *session
	defer func() { s.close() }()
	for _, q := range queues {
		if s == nil || s.Name != q.connection {
			s.close()
			if s, err = openSession(ctx, q.connection, plan.Settings, d.broker.timeout, "dead"); err != nil {
				return err
			}
		}
		if err := d.listOne(ctx, c, s, q); err != nil {
			return failure{err}
		}
	}
	return nil
}

func (d *deadCommand) listOne(ctx context.Context, c *CLI, s *session, q deadQueue) error {
	n, _, err := s.info(ctx, q.queue)
	var missing *amqpproto.ChannelError
	if errors.As(err, &missing) && missing.Code == amqpproto.NotFound {
		n, err = 0, nil
		if !d.json {
			fmt.Fprintf(c.Stdout, "%s  does not exist: serve declares it\n", q.queue)
			return nil
		}
	}
	if err != nil {
		return err
	}
	var counts causes
	var notBack error // the messages were counted all the same
	looked := 0
	if d.pick.limit > 0 && n > 0 {
		err = s.walk(ctx, q.queue, min(n, d.pick.limit), func(m *taken) {
			m.keep()
			looked++
			death := deathOf(m.Headers)
			counts.add(&death)
		})
		if errors.Is(err, errNotBack) {
			notBack = err
		} else if err != nil {
			return err
		}
	}
	list, left, messages := counts.most(d.causes)
	if d.json {
		line := map[string]any{"connection": q.connection, "queue": q.queue, "messages": n, "looked_at": looked, "causes": list}
		if messages > 0 {
			line["causes_left_out"], line["messages_left_out"] = left, messages
		}
		return errors.Join(json.NewEncoder(c.Stdout).Encode(line), notBack)
	}
	fmt.Fprintf(c.Stdout, "%s  %s", q.queue, counted(n, "message"))
	if looked < n && d.pick.limit > 0 {
		fmt.Fprintf(c.Stdout, ", of which the first %d:", looked)
	}
	fmt.Fprintln(c.Stdout)
	writeCauses(c.Stdout, list, left, messages)
	return notBack
}
