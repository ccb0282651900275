package command

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"zamqp/publisher/config"
	"zamqp/publisher/logging"
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
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.runServer(cmd, c.Serve) },
	}
}

// runServer reads the configuration, opens the log, and runs what cmd serves.
func (c *CLI) runServer(cmd *cobra.Command, serve func(context.Context, *config.Settings, zerolog.Logger, *logging.Writer) error) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	log, w := c.openLog(s.Log)
	if err := serve(cmd.Context(), s, log, w); err != nil {
		return failure{err}
	}
	return nil
}
