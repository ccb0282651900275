package app

import (
	"github.com/spf13/cobra"
)

func (c *CLI) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGTERM or SIGINT, which drain it within server.drain_timeout;
a second signal ends it at once.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.load()
			if err != nil {
				return err
			}
			if err := Serve(cmd.Context(), s, NewLogger(s.Log, c.Stderr)); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}
