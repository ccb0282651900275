package command

import (
	"github.com/spf13/cobra"
)

func (c *CLI) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGTERM, SIGINT or SIGHUP, which drain it within
server.drain_timeout; a second SIGTERM or SIGINT ends it at once. The exit status is 70
when a handler has held the thread past loop.stall_limit, and 71 when one held it
and a signal got no answer.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.load()
			if err != nil {
				return err
			}
			log, w := c.openLog(s.Log)
			if err := c.Serve(cmd.Context(), s, log, w); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}
