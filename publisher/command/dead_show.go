package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// within opens the queue of an argument and runs fn with the number of its messages.
func (d *deadCommand) within(c *CLI, cmd *cobra.Command, arg string, must bool, fn func(ctx context.Context, s *session, q deadQueue, n int) error) error {
	if err := d.pick.parse(must); err != nil {
		return err
	}
	plan, err := d.plan(c, []string{arg})
	if err != nil {
		return err
	}
	q, err := d.locate(plan, cmd, arg)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	s, err := openSession(ctx, q.connection, plan.Settings, d.broker.timeout, "dead")
	if err != nil {
		return err
	}
	defer s.close()
	n, _, err := s.info(ctx, q.queue)
	if err == nil {
		err = fn(ctx, s, q, n)
	}
	if err == nil {
		err = d.pick.missing()
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// picked calls each for the messages that the flags select.
func (d *deadCommand) picked(ctx context.Context, s *session, q deadQueue, n int, each func(*taken, death)) error {
	return s.walk(ctx, q.queue, d.pick.last(n), func(m *taken) {
		death := deathOf(m.Headers)
		if d.pick.matches(m.Position, m.MessageId, death.Reason, death.Error) {
			each(m, death)
		} else {
			m.keep()
		}
	})
}

func (d *deadCommand) show(c *CLI, cmd *cobra.Command, arg string) error {
	return d.within(c, cmd, arg, false, func(ctx context.Context, s *session, q deadQueue, n int) error {
		shown := 0
		var printing error
		err := d.picked(ctx, s, q, n, func(m *taken, death death) {
			m.keep()
			shown++
			if printing == nil {
				printing = d.print(c, m.message, death)
			}
		})
		if err == nil {
			err = printing
		}
		if err == nil && !d.json {
			fmt.Fprintf(c.Stderr, "%d of %s shown\n", shown, counted(n, "message"))
		}
		return err
	})
}

func (d *deadCommand) print(c *CLI, m *message, death death) error {
	if d.json {
		m.Death = &death
		return m.writeJSON(c.Stdout)
	}
	if err := m.writeText(c.Stdout, !d.noBody); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Stdout, "  %s\n", death.text())
	return err
}
