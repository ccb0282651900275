package command

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// numbered picks messages by their numbers, besides what a selection picks them by.
type numbered struct {
	selection
	word    string // what a number is called, and its flag: "number" or "id"
	numbers []uint
}

// flags adds the flags. numbers is what their help calls the numbers.
func (x *numbered) flags(cmd *cobra.Command, word, numbers string) {
	x.word = word
	flags := cmd.Flags()
	flags.BoolVar(&x.all, "all", false, "all messages")
	flags.UintSliceVar(&x.numbers, word, nil, "those with these `"+numbers+"`, which list shows")
	flags.StringSliceVar(&x.ids, "message-id", nil, "those with this message id; repeatable")
	flags.StringVar(&x.reason, "reason", "", "messages aside whose reason contains this text")
	for _, other := range []string{word, "message-id", "reason"} {
		cmd.MarkFlagsMutuallyExclusive("all", other)
	}
}

// given returns an error if the flags select nothing.
func (x *numbered) given() error {
	if !x.all && len(x.numbers) == 0 && len(x.ids) == 0 && x.reason == "" {
		return fmt.Errorf("which messages? Say --%s, --message-id, --reason or --all", x.word)
	}
	return nil
}

// picks reports whether the flags select a message.
func (x *numbered) picks(number uint, id, reason string) bool {
	if len(x.numbers) > 0 && !slices.Contains(x.numbers, number) {
		return false
	}
	if !x.matches(0, id, reason) {
		return false
	}
	if len(x.numbers) > 0 {
		x.found[x.named(number)] = true
	}
	return true
}

// unmatched returns an error that names the numbers and ids that no message has.
func (x *numbered) unmatched() error {
	for _, n := range x.numbers {
		if !x.found[x.named(n)] {
			return fmt.Errorf("no message matches %s", x.named(n))
		}
	}
	return x.missing()
}

func (x *numbered) named(n uint) string { return fmt.Sprintf("%s %d", x.word, n) }
