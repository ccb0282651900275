package command

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zamqp/publisher/outbox"
)

// sqlCommand makes the tables in a database, and looks after the rows of the outbox.
type sqlCommand struct {
	dsn      string
	driver   string
	database string
	timeout  time.Duration
	print    bool
	dialect  string
}

func (c *CLI) sqlCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "Make the tables of outbox and inbox in a database; list, retry or drop rows",
		Long: `Look after the tables of zamqp in your database: the outbox, [connection.NAME]
outbox = "sql", and the inbox, [consumer.NAME] dedupe. The database driver is that of
this program: a binary of your own has one, the binary of zamqp itself has none.
Every server may run meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.sqlInitCommand(), c.sqlListCommand(), c.sqlRetryCommand(), c.sqlDropCommand())
	return cmd
}

func (c *CLI) sqlInitCommand() *cobra.Command {
	var x sqlCommand
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the tables, or print the statements that make them",
		Long: `Make the tables that are missing, in one transaction. Where they are there
already, nothing is changed. In PostgreSQL they go to the first schema of the
search_path, which the DSN may set. With --print, the statements are printed for
your own migrations, and no database is needed.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return x.init(cmd.Context(), c) },
	}
	x.add(cmd)
	cmd.Flags().BoolVar(&x.print, "print", false, "print the statements and do nothing")
	cmd.Flags().StringVar(&x.dialect, "dialect", "", "of --print: `NAME` is postgres (default) or sqlite")
	for _, other := range []string{"dsn", "driver", "database"} {
		cmd.MarkFlagsMutuallyExclusive("print", other)
	}
	return cmd
}

func (x *sqlCommand) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&x.dsn, "dsn", "", "the database, as its driver wants it: `DSN` such as postgres://user:password@host/shop or file:shop.db; - reads it from standard input")
	flags.StringVar(&x.driver, "driver", "", "`NAME` of the driver (default: the only one, or what the DSN looks like)")
	flags.StringVar(&x.database, "database", "", "the database that a handler package has registered under `NAME` (default without --dsn: the only one)")
	flags.DurationVar(&x.timeout, "timeout", 30*time.Second, "give up after this time")
	cmd.MarkFlagsMutuallyExclusive("dsn", "database")
}

func (x *sqlCommand) init(ctx context.Context, c *CLI) error {
	if x.dialect != "" && !x.print {
		return errors.New("--dialect is for --print: the database says itself what it is")
	}
	if x.print {
		d := outbox.PostgreSQL
		if x.dialect != "" {
			var err error
			if d, err = outbox.ParseDialect(x.dialect); err != nil {
				return fmt.Errorf("--dialect: %w", err)
			}
		}
		fmt.Fprint(c.Stdout, outbox.Tables(d))
		return nil
	}
	return x.with(ctx, c, func(ctx context.Context, db *sql.DB, d outbox.Dialect) error {
		made, err := outbox.Init(ctx, db, d)
		switch {
		case err != nil:
			return err
		case made:
			fmt.Fprintf(c.Stdout, "made the tables of zamqp, version %d (%s)\n", outbox.Version, d)
		default:
			fmt.Fprintf(c.Stdout, "the tables of zamqp were there, version %d (%s)\n", outbox.Version, d)
		}
		return nil
	})
}

// with opens the database for fn.
func (x *sqlCommand) with(ctx context.Context, c *CLI, fn func(ctx context.Context, db *sql.DB, d outbox.Dialect) error) error {
	if x.timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, x.timeout, fmt.Errorf("--timeout, %s, is over", x.timeout))
		defer cancel()
		ctx = limited
	}
	db, err := x.open(c)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // everything is committed or failed
	d, err := outbox.DialectOf(ctx, db)
	if err == nil {
		err = fn(ctx, db, d)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return failure{fmt.Errorf("sql: %w", err)}
	}
	return nil
}

// open opens the database that the flags name.
func (x *sqlCommand) open(c *CLI) (*sql.DB, error) {
	if x.dsn == "" {
		return x.registered(c)
	}
	dsn := x.dsn
	if dsn == "-" {
		if c.Stdin == nil {
			return nil, errors.New("--dsn -: there is no standard input")
		}
		octets, err := io.ReadAll(io.LimitReader(c.Stdin, 64<<10))
		if err != nil {
			return nil, failure{fmt.Errorf("--dsn -: %w", err)}
		}
		dsn = strings.TrimSpace(string(octets))
	}
	driver, err := driverOf(x.driver, dsn)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, failure{fmt.Errorf("driver %s: %w", driver, err)}
	}
	return db, nil
}

// registered returns a database of a handler package.
func (x *sqlCommand) registered(c *CLI) (*sql.DB, error) {
	names := c.Registry.Databases()
	name := x.database
	switch {
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "" && len(names) == 0:
		return nil, errors.New("which database? Say --dsn; no handler package has registered one by publisher.Database")
	case name == "":
		return nil, fmt.Errorf("which database? Say --dsn, or --database with one of: %s", strings.Join(names, ", "))
	case !slices.Contains(names, name):
		return nil, fmt.Errorf("--database %s: no handler package has registered it; there are: %s", name, strings.Join(names, ", "))
	}
	db, err := c.Registry.OpenDatabase(name)
	if err != nil {
		return nil, failure{fmt.Errorf("%w; if an OnStart function opens it, say --dsn", err)}
	}
	return db, nil
}

// knownDrivers are drivers that are tested, with their import and with how their DSNs begin.
var knownDrivers = []struct{ name, path, begins string }{
	{"pgx", "github.com/jackc/pgx/v5/stdlib", "postgres://"},
	{"sqlite", "modernc.org/sqlite", "file:"},
	{"postgres", "github.com/lib/pq", "postgres"},
	{"sqlite3", "github.com/mattn/go-sqlite3", "file:"},
}

// driverOf returns the driver to use. Its error says which import is missing.
func driverOf(name, dsn string) (string, error) {
	there := sql.Drivers()
	if name != "" {
		if slices.Contains(there, name) {
			return name, nil
		}
		return "", failure{fmt.Errorf("--driver %s: this program has no such driver%s", name, missing(there))}
	}
	if len(there) == 0 {
		return "", failure{fmt.Errorf("this program has no database driver%s", missing(there))}
	}
	if len(there) == 1 {
		return there[0], nil
	}
	for _, k := range knownDrivers {
		if strings.HasPrefix(dsn, k.begins) && slices.Contains(there, k.name) {
			return k.name, nil
		}
	}
	return "", fmt.Errorf("which driver? Say --driver with one of: %s", strings.Join(there, ", "))
}

// missing tells how to get a driver.
func missing(there []string) string {
	var b strings.Builder
	if len(there) > 0 {
		fmt.Fprintf(&b, " (it has %s)", strings.Join(there, ", "))
	}
	b.WriteString(": drivers are compiled in; in your main, import _ ")
	for i, k := range knownDrivers[:2] {
		if i > 0 {
			b.WriteString(" or _ ")
		}
		fmt.Fprintf(&b, "%q", k.path)
	}
	b.WriteString(". Without a driver, \"zamqp sql init --print\" prints the statements")
	return b.String()
}
