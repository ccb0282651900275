package app

import (
	"context"
	"os"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/publisher/config"
	"zamqp/publisher/logging"
)

// Main runs the command line (without the program's name) of a binary and returns
// the exit code. The handlers of the binary are in publisher.Default.
func Main(args []string) int {
	c := &command.CLI{
		Registry:    publisher.Default,
		Serve:       serveLogged,
		ServeBroker: serveBrokerLogged,
		Environ:     os.Environ(),
		Stdin:       os.Stdin,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
	}
	return c.Run(context.Background(), args)
}

func serveLogged(ctx context.Context, s *config.Settings, log zerolog.Logger, w *logging.Writer) error {
	return serve(ctx, s, logs{w.Own(), log}, newLastWords(log, w), w)
}

func serveBrokerLogged(ctx context.Context, s *config.Settings, log zerolog.Logger, w *logging.Writer) error {
	return serveBroker(ctx, s, w.Own(), newLastWords(log, w))
}
