package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"zamqp/publisher"
	"zamqp/publisher/config"
	"zamqp/publisher/logging"
)

// Exit codes of Run.
const (
	exitOK      = 0
	exitFailure = 1 // the command failed: configuration, server
	exitUsage   = 2 // the command line itself is wrong
)

// CLI is the command line with its environment. app.Main takes that of the process.
type CLI struct {
	Registry *publisher.Registry
	Environ  []string  // "NAME=value"
	Stdin    io.Reader // nil = empty
	Stdout   io.Writer
	Stderr   io.Writer // errors and the log

	// Serve and ServeBroker run the server and the broker, until ctx ends or a signal
	// comes. w is the writer under log; Run closes it.
	Serve       func(ctx context.Context, s *config.Settings, log zerolog.Logger, w *logging.Writer) error
	ServeBroker func(ctx context.Context, s *config.Settings, log zerolog.Logger, w *logging.Writer) error

	file     string     // --config
	options  optionList // -o
	closeLog func()     // the log of a server; nil if there is none
}

// failure is an error in the work of a command. Errors in its usage are cobra's own.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// Run executes one command. ctx ends a running server as a signal does.
func (c *CLI) Run(ctx context.Context, args []string) int {
	out, stderr := &output{w: c.Stdout}, c.Stderr
	c.Stdout, c.Stderr = logging.Quoting{W: out}, logging.Quoting{W: stderr}
	defer func() { c.Stdout, c.Stderr = out.w, stderr }()
	root := c.root(args)
	root.SetArgs(args)
	root.SetOut(c.Stdout)
	root.SetErr(c.Stderr)
	defer func() { // also after a panic, before the runtime writes its own text
		if c.closeLog != nil {
			c.closeLog()
			c.closeLog = nil
		}
	}()
	ran, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		err = failure{fmt.Errorf("standard output: %w", out.err)}
	}
	if err == nil {
		return exitOK
	}
	var failed failure
	if errors.As(err, &failed) {
		c.complain(failed.error)
		return exitFailure
	}
	fmt.Fprintf(c.Stderr, "zamqp: %v\nTry %q.\n", err, ran.CommandPath()+" --help")
	return exitUsage
}

// output remembers the first error of printing. The exit code reports it, so that a script
// does not mistake half of the output for the whole.
type output struct {
	w   io.Writer
	err error
}

// Write writes p unchanged.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// complain prints an error. Each problem of a configuration has its own line.
func (c *CLI) complain(err error) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		fmt.Fprintf(c.Stderr, "zamqp: %v\n", err)
		return
	}
	for _, p := range problems {
		fmt.Fprintln(c.Stderr, p)
	}
	if len(problems) > 1 {
		fmt.Fprintf(c.Stderr, "zamqp: %d problems in the configuration\n", len(problems))
	}
}

// root makes the tree of commands. If the command line begins with the name of a command, it
// makes only that one, and nothing that cobra adds: making all of them takes longer than
// reading the configuration, and a server should listen soon.
func (c *CLI) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "zamqp",
		Short: "An application server for HTTP requests and AMQP messages",
		Long: `zamqp serves HTTP and consumes AMQP messages on one thread. Both are requests to
the same handlers, which are compiled in.`,
		// Run prints errors. An error of a broker's URL does not need the usage of the
		// command behind it.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.file, "config", "", "read settings from `FILE` (default: config.toml in this folder, if there is one)")
	flags.VarP(&c.options, "option", "o", "set one key, over file and environment: `key.path=value`; repeatable")
	_ = root.MarkPersistentFlagFilename("config", "toml") // this fails only for an unknown flag
	_ = root.RegisterFlagCompletionFunc("option", c.completeOption)
	commands := map[string]func() *cobra.Command{
		"serve": c.serveCommand, "broker": c.brokerCommand, "check": c.checkCommand, "routes": c.routesCommand,
		"version": c.versionCommand, "publish": c.publishCommand, "call": c.callCommand, "tap": c.tapCommand,
		"dead": c.deadCommand, "spool": c.spoolCommand, "sql": c.sqlCommand, "health": c.healthCommand,
	}
	if len(args) > 0 && commands[args[0]] != nil {
		root.AddCommand(commands[args[0]]())
		root.CompletionOptions.DisableDefaultCmd = true
		return root
	}
	for _, command := range commands { // cobra sorts them
		root.AddCommand(command())
	}
	return root
}

// load reads the configuration from the file, the environment and the flags.
func (c *CLI) load() (*config.Settings, error) {
	s, err := config.Load(config.Sources{File: c.file, Environ: c.Environ, Options: c.options}, c.Registry)
	if err != nil {
		return nil, failure{err}
	}
	return s, nil
}

// completeOption completes keys, with the names that handlers registered.
func (c *CLI) completeOption(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	keys, err := config.Keys(c.Registry)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for i := range keys {
		keys[i] += "="
	}
	return keys, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// optionList is the value of -o. A missing = is an error of usage. The keys are checked
// later, together with all others.
type optionList []string

func (l *optionList) String() string { return "" }

func (l *optionList) Type() string { return "key.path=value" }

func (l *optionList) Set(text string) error {
	if !strings.Contains(text, "=") {
		return errors.New("no = in it: write key.path=value, as in log.level=debug")
	}
	*l = append(*l, text)
	return nil
}
