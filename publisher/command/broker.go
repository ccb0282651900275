package command

import (
	"github.com/spf13/cobra"
)

func (c *CLI) brokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded broker alone",
		Long: `Run the embedded broker alone until SIGTERM or SIGINT, which close its connections in
good order; a second signal ends it at once. Of the configuration it uses [broker],
[loop] and [log]. Handlers, HTTP and connections are not started.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.runServer(cmd, c.ServeBroker) },
	}
	cmd.AddCommand(c.brokerHashCommand())
	return cmd
}
