package command

import (
	"github.com/rs/zerolog"

	"zamqp/publisher/config"
	"zamqp/publisher/logging"
)

// openLog makes the log of a server on c.Stderr, and all other output to c.Stderr goes
// through it: a write that waits for a reader who has stopped would keep the process from
// ending. Run closes it.
func (c *CLI) openLog(l config.Log) (logger zerolog.Logger, w *logging.Writer) {
	before := c.Stderr
	logger, w, end := logging.Open(l, before)
	c.Stderr = w
	c.closeLog = func() {
		end()
		c.Stderr = before
	}
	return logger, w
}
