package app

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"zamqp/publisher"
)

// Serve runs the server that the settings describe until ctx ends.
func Serve(ctx context.Context, s *Settings, log zerolog.Logger) error {
	if _, err := Resolve(s, publisher.Default); err != nil {
		return err
	}
	return errors.New("not wired")
}
