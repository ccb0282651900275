package command

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/spf13/cobra"

	"zamqp/publisher/logging"
	"zamqp/publisher/outbox"
)

// sqlRows are the rows of the outbox that a command is about.
type sqlRows struct {
	sqlCommand
	connection string
	pick       numbered
	aside      bool
	json       bool
	noBody     bool
}

func (c *CLI) sqlListCommand() *cobra.Command {
	var x sqlRows
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the rows of the outbox",
		Long: `Show the messages that wait in the outbox, and those aside with the reason that
the broker gave, the lowest id first. Nothing is changed.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return x.list(cmd.Context(), c) },
	}
	x.addRows(cmd)
	cmd.Flags().BoolVar(&x.aside, "aside", false, "only those that the broker has refused")
	cmd.Flags().BoolVar(&x.json, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&x.noBody, "no-body", false, "leave out the bodies (not with --json)")
	cmd.Flags().IntVar(&x.pick.limit, "limit", 100, "show at most this many messages; all are counted")
	return cmd
}

func (c *CLI) sqlRetryCommand() *cobra.Command {
	var x sqlRows
	cmd := &cobra.Command{
		Use:   "retry",
		Short: "Send messages again that the broker has refused",
		Long: `Let messages that are aside be sent again, by the servers that run. They are
picked by --id, --message-id, --reason or --all.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return x.change(cmd.Context(), c, outbox.Retry, "will be sent again")
		},
	}
	x.addRows(cmd)
	x.pick.flags(cmd, "id", "IDS")
	x.aside = true
	return cmd
}

func (c *CLI) sqlDropCommand() *cobra.Command {
	var x sqlRows
	cmd := &cobra.Command{
		Use:   "drop",
		Short: "Delete messages from the outbox",
		Long: `Delete messages. They then reach nobody, although the rows of their transactions
are committed. They are picked by --id, --message-id, --reason or --all, among those
that the broker has refused; with --waiting also among those that wait, which a running
server may have sent already.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			waiting, _ := cmd.Flags().GetBool("waiting") // it is a bool
			x.aside = !waiting
			return x.change(cmd.Context(), c, outbox.Drop, "dropped")
		},
	}
	x.addRows(cmd)
	x.pick.flags(cmd, "id", "IDS")
	cmd.Flags().Bool("waiting", false, "also messages that wait to be sent")
	return cmd
}

func (x *sqlRows) addRows(cmd *cobra.Command) {
	x.add(cmd)
	cmd.Flags().StringVar(&x.connection, "connection", "", "only those of [connection.`NAME`]")
}

// sqlPage is how many rows are read at once; their bodies are in memory.
const sqlPage = 20

// each calls fn with the rows.
func (x *sqlRows) each(ctx context.Context, db *sql.DB, d outbox.Dialect, fn func(r *outbox.Row) error) error {
	if err := outbox.Check(ctx, db, d); err != nil {
		return err
	}
	f := outbox.Filter{Connection: x.connection, Aside: x.aside, Limit: sqlPage}
	for {
		rows, err := outbox.List(ctx, db, d, f)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := fn(r); err != nil {
				return err
			}
			f.After = r.ID
		}
		if len(rows) < sqlPage {
			return nil
		}
	}
}

func rowMessage(r *outbox.Row) *message {
	m := newMessage(r.Exchange, r.RoutingKey, r.Properties, r.Body, r.Created)
	m.Position = int(r.ID)
	m.Note = "connection " + r.Connection + ", producer " + r.Producer
	if r.Reason != "" {
		m.Note = "aside: " + logging.OneLine(r.Reason)
	}
	return m
}

func (x *sqlRows) list(ctx context.Context, c *CLI) error {
	return x.with(ctx, c, func(ctx context.Context, db *sql.DB, d outbox.Dialect) error {
		waiting, aside, shown := 0, 0, 0
		err := x.each(ctx, db, d, func(r *outbox.Row) error {
			if r.Reason == "" {
				waiting++
			} else {
				aside++
			}
			if shown++; shown > x.pick.limit {
				return nil
			}
			if x.json {
				return rowMessage(r).writeJSON(c.Stdout)
			}
			return rowMessage(r).writeText(c.Stdout, !x.noBody)
		})
		if err == nil && !x.json {
			fmt.Fprintf(c.Stdout, "%s to send, %d aside\n", counted(waiting, "message"), aside)
		}
		return err
	})
}

// change runs fn with the ids of the selected rows.
func (x *sqlRows) change(ctx context.Context, c *CLI, fn func(context.Context, outbox.Queryer, outbox.Dialect, int64) (bool, error), said string) error {
	if err := x.pick.given(); err != nil {
		return err
	}
	return x.with(ctx, c, func(ctx context.Context, db *sql.DB, d outbox.Dialect) error {
		changed := 0
		err := x.each(ctx, db, d, func(r *outbox.Row) error {
			if !x.pick.picks(uint(r.ID), rowMessage(r).MessageId, r.Reason) {
				return nil
			}
			done, err := fn(ctx, db, d, r.ID)
			if done {
				changed++
			}
			return err
		})
		fmt.Fprintf(c.Stdout, "%s %s\n", counted(changed, "message"), said)
		if err != nil {
			return err
		}
		return x.pick.unmatched()
	})
}
