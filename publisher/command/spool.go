package command

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"zamqp/amqpproto/journal"
	"zamqp/publisher/config"
	"zamqp/publisher/logging"
	"zamqp/publisher/spool"
)

// spoolCommand reads and changes spools that no server is using.
type spoolCommand struct {
	connection string
	dir        string
	pick       numbered
	rejected   bool
	json       bool
	noBody     bool
}

func (c *CLI) spoolCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spool",
		Short: "List, retry or drop messages that wait on disk for the broker",
		Long: `Look after the spools of the configured connections, [connection.NAME] spool =
"file": messages that wait for their broker, and those moved aside because the
broker refused them. A spool belongs to one process: these commands work
while no server runs with it, and say so otherwise. What a running server has is in
/readyz.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var list, retry, drop spoolCommand
	listing := &cobra.Command{
		Use:   "list",
		Short: "Show what is in the spool",
		Long: `Show the messages that wait, oldest first, and those aside with the reason
that the broker gave. Nothing is changed.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return list.list(c) },
	}
	list.add(listing)
	listing.Flags().BoolVar(&list.json, "json", false, "one JSON object a line")
	listing.Flags().BoolVar(&list.noBody, "no-body", false, "leave out the bodies (not with --json)")
	listing.Flags().IntVar(&list.pick.limit, "limit", 100, "show at most this many messages; all are counted")
	retrying := &cobra.Command{
		Use:   "retry",
		Short: "Send messages that are aside again",
		Long: `Put messages that are aside at the end of the queue. The next server sends
them. They are picked by --number, --message-id, --reason or --all.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return retry.retry(c) },
	}
	retry.add(retrying)
	retry.pick.flags(retrying, "number", "NUMBERS")
	dropping := &cobra.Command{
		Use:   "drop",
		Short: "Delete messages from the spool",
		Long: `Delete messages. They then reach nobody, although their calls were answered as done.
They are picked by --number, --message-id, --reason or --all; with --aside only
among those aside.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return drop.drop(c) },
	}
	drop.add(dropping)
	drop.pick.flags(dropping, "number", "NUMBERS")
	dropping.Flags().BoolVar(&drop.rejected, "aside", false, "only messages that were moved aside")
	cmd.AddCommand(listing, retrying, dropping)
	return cmd
}

func (x *spoolCommand) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&x.connection, "connection", "", "only the spool of [connection.`NAME`] (default: all that have one)")
	cmd.Flags().StringVar(&x.dir, "dir", "", "the spool in `DIR`, whatever the configuration says; a connection's is spool_dir/NAME")
	cmd.MarkFlagsMutuallyExclusive("connection", "dir")
}

// matches reports whether the flags select a message.
func (x *spoolCommand) matches(number uint64, m *spool.Message, reason string) bool {
	return x.pick.picks(uint(number), newMessage(nil, nil, m.RawProperties, nil, time.Time{}).MessageId, reason)
}

// each calls fn with the directory of each spool that the flags name.
func (x *spoolCommand) each(c *CLI, fn func(title, dir string) error) error {
	if x.dir != "" {
		return spoolFailure(fn(x.dir, x.dir))
	}
	s, err := c.load()
	if err != nil {
		return err
	}
	if x.connection != "" && s.Connections[x.connection] == nil {
		return fmt.Errorf("--connection %s: %s", x.connection, config.UnknownConnection(x.connection, s))
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		connection := s.Connections[name]
		dir := connection.SpoolPath(name)
		if x.connection != "" && x.connection != name || connection.Spool != config.SpoolFile && !spool.Exists(dir) {
			continue
		}
		n++
		if err := fn(fmt.Sprintf("connection %s, %s", name, dir), dir); err != nil {
			return spoolFailure(err)
		}
	}
	if n == 0 {
		fmt.Fprintln(c.Stderr, `no connection has a spool: set connection.NAME.spool = "file", or name a directory with --dir`)
	}
	return nil
}

func spoolFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrLocked):
		return failure{fmt.Errorf("%w: stop the server first; /readyz says what its spool has", err)}
	}
	return failure{err}
}

func (x *spoolCommand) list(c *CLI) error {
	return x.each(c, func(title, dir string) error {
		var printing error
		queued, rejections, shown := 0, 0, 0
		var octets int64
		show := func(m *message) {
			if shown++; printing != nil || shown > x.pick.limit {
				return
			}
			if x.json {
				printing = m.writeJSON(c.Stdout)
			} else {
				printing = m.writeText(c.Stdout, !x.noBody)
			}
		}
		err := spool.List(dir, func(e *spool.Entry) {
			queued++
			octets += e.Size()
			show(spooledMessage(e.Number, e.Since, &e.Message, ""))
		}, func(a *spool.Rejected) {
			rejections++
			octets += a.Size()
			show(spooledMessage(a.Number, a.Since, &a.Message, "aside: "+logging.OneLine(a.Reason)))
		})
		if err == nil {
			err = printing
		}
		if err == nil && !x.json {
			fmt.Fprintf(c.Stdout, "%s: %s to leave, %d aside, %d octets\n", title, counted(queued, "message"), rejections, octets)
		}
		return err
	})
}

func spooledMessage(number uint64, since time.Time, m *spool.Message, note string) *message {
	shown := newMessage([]byte(m.Exchange), []byte(m.RoutingKey), m.RawProperties, m.Body, since)
	shown.Position = int(number)
	if m.Producer != "" {
		shown.Note = "producer " + m.Producer
	}
	if note != "" {
		shown.Note = note
	}
	return shown
}

// change runs fn on each spool with the numbers of the selected messages.
func (x *spoolCommand) change(c *CLI, queuedToo bool, fn func(s *spool.Spool, numbers []uint64) error, said string) error {
	if err := x.pick.given(); err != nil {
		return err
	}
	err := x.each(c, func(title, dir string) error {
		var numbers []uint64
		err := spool.List(dir, func(e *spool.Entry) {
			if queuedToo && x.matches(e.Number, &e.Message, "") {
				numbers = append(numbers, e.Number)
			}
		}, func(a *spool.Rejected) {
			if x.matches(a.Number, &a.Message, a.Reason) {
				numbers = append(numbers, a.Number)
			}
		})
		if err != nil {
			return err
		}
		if len(numbers) > 0 {
			s, _, err := spool.Open(spool.Options{Dir: dir, Max: 1 << 62})
			if err != nil {
				return err
			}
			err = fn(s, numbers)
			if err == nil {
				err = s.Compact()
			}
			if cerr := s.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
		}
		fmt.Fprintf(c.Stdout, "%s: %s %s\n", title, counted(len(numbers), "message"), said)
		return nil
	})
	if err == nil {
		err = spoolFailure(x.pick.unmatched())
	}
	return err
}

func (x *spoolCommand) retry(c *CLI) error {
	return x.change(c, false, func(s *spool.Spool, numbers []uint64) error { return s.Retry(time.Now(), numbers) }, "will be sent again")
}

func (x *spoolCommand) drop(c *CLI) error {
	return x.change(c, !x.rejected, func(s *spool.Spool, numbers []uint64) error {
		for _, n := range numbers {
			if err := s.Drop(n); err != nil {
				return err
			}
		}
		return nil
	}, "dropped")
}
