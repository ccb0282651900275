package process

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Script runs a program to its end and returns its trimmed output. The program may leave others behind,
// such as a server and its watcher, that hold its output open. what names it in the error, which has what
// it has said on standard error.
func Script(what string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", what, err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}
