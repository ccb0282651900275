package command

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// deadCommand lists, shows, moves and deletes dead letters.
type deadCommand struct {
	broker brokerFlags
	pick   selection
	json   bool
	to     string
	noBody bool
	causes int
}

func (c *CLI) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "List, show, retry or drop messages that were given up",
		Long: `Look after the dead-letter queues of the configured consumers, or of any queue.
QUEUE is the name of a queue, or of a consumer, whose dead-letter queue is meant.

AMQP cannot show a message without taking it from its queue. While one of these
commands runs, other consumers of the queue do not get the messages that it holds.
Messages that it puts back are marked as redelivered, and a quorum queue counts each
look toward its x-delivery-limit (RabbitMQ before 4.3).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.deadListCommand(), c.deadShowCommand(), c.deadRetryCommand(), c.deadDropCommand())
	return cmd
}

func (c *CLI) deadListCommand() *cobra.Command {
	var d deadCommand
	cmd := &cobra.Command{
		Use:   "list [QUEUE…]",
		Short: "Count the dead letters by queue and reason",
		Long: `Count the messages in the dead-letter queues of all configured consumers, or in
those that are named, and say why they are there: by queue, reason, handler and
error, where errors that differ in numbers or quoted text only count as one. The exit
code is 0 also when there are some.`,
		ValidArgsFunction: c.completeConsumers,
		RunE:              func(cmd *cobra.Command, args []string) error { return d.list(c, cmd, args) },
	}
	d.broker.add(cmd, c)
	cmd.Flags().IntVar(&d.pick.limit, "limit", 1000, "look for reasons in at most this many messages of each queue; 0 = only count")
	cmd.Flags().IntVar(&d.causes, "causes", 20, "show at most this many kinds of failure of each queue; 0 = all, up to 1000")
	cmd.Flags().BoolVar(&d.json, "json", false, "one JSON object for each queue and line")
	return cmd
}

func (c *CLI) deadShowCommand() *cobra.Command {
	var d deadCommand
	cmd := d.ofQueue(c, d.show, 20, &cobra.Command{
		Use:     "show [flags] QUEUE",
		Short:   "Show dead letters with headers and body",
		Example: "  zamqp dead show billing --position 1-3\n  zamqp dead show billing.dead --reason timeout --json",
	})
	cmd.Flags().BoolVar(&d.json, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&d.noBody, "no-body", false, "leave out the bodies (not with --json)")
	return cmd
}

func (c *CLI) deadRetryCommand() *cobra.Command {
	var d deadCommand
	cmd := d.ofQueue(c, d.retry, 1_000_000, &cobra.Command{
		Use:   "retry [flags] QUEUE",
		Short: "Move dead letters back to the queue where they failed",
		Long: `Move dead letters back to the queue where they failed, which their headers name,
or to another with --to, without what they say of their failure: they have all
attempts before them again. A message leaves the dead-letter queue when the broker
has confirmed that the other queue has it, so none is lost; if this command is
killed between the two, the message is in both. The exit code is 1 when one could
not be moved; it stays where it was.`,
		Example: "  zamqp dead retry billing --all\n  zamqp dead retry billing.dead --message-id 4711 --to billing-by-hand",
	})
	cmd.Flags().StringVar(&d.to, "to", "", "move them to this `QUEUE`")
	return cmd
}

func (c *CLI) deadDropCommand() *cobra.Command {
	var d deadCommand
	return d.ofQueue(c, d.drop, 1_000_000, &cobra.Command{
		Use:     "drop [flags] QUEUE",
		Short:   "Delete dead letters",
		Example: "  zamqp dead drop billing --position 1\n  zamqp dead drop billing --reason 'no such customer'",
	})
}

// ofQueue completes a command that runs on the dead letters of one queue, its argument. limit
// is the default of --limit.
func (d *deadCommand) ofQueue(c *CLI, run func(*CLI, *cobra.Command, string) error, limit int, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = c.completeConsumers
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(c, cmd, args[0]) }
	d.broker.add(cmd, c)
	d.pick.add(cmd, limit)
	return cmd
}

func (c *CLI) completeConsumers(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return slices.Sorted(maps.Keys(c.Registry.Consumers())), cobra.ShellCompDirectiveNoFileComp
}
