package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"zamqp/publisher/logging"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

func (c *CLI) brokerHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Read a password and print its bcrypt hash for broker.users",
		Long: `Read a password, one line of standard input, and print what belongs into the
configuration: broker.users.NAME = "hash". A terminal does not show what you type.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			password, err := c.readPassword()
			if err != nil {
				return failure{err}
			}
			hash, err := hashPassword(password)
			if err != nil {
				return failure{err}
			}
			if _, err := fmt.Fprintln(c.Stdout, hash); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

func hashPassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", fmt.Errorf("the password has %d octets: bcrypt uses only 72, so it has to be shorter", len(password))
	}
	return string(hash), err
}

// readPassword reads one line and cuts off its end.
func (c *CLI) readPassword() (string, error) {
	in := c.Stdin
	if in == nil {
		in = strings.NewReader("")
	}
	if file, ok := in.(*os.File); ok && logging.IsTerminal(file) {
		fmt.Fprint(c.Stderr, "password: ")
		defer fmt.Fprintln(c.Stderr)
		defer noEcho(int(file.Fd()))()
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
