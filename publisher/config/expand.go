package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// expand replaces ${NAME} and ${NAME:-default} in text by what lookup knows.
// As in a shell, the default is taken when the variable is unset or empty; it
// reaches to the next brace and is not expanded itself. $$ is a dollar, and so
// is a dollar before anything else, because passwords are full of them.
// expanded says whether a variable was replaced: such a value is text, even
// where the key wants a number. Errors name variables, and never quote the text
// around them: it may be a URL with a password.
func expand(text string, lookup func(string) (string, bool)) (out string, expanded bool, err error) {
	if !strings.Contains(text, "$") {
		return text, false, nil
	}
	var b strings.Builder
	var wrong []string // each variable that is: whoever mends one should not have to find the next
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		switch {
		case !found && len(wrong) > 0:
			return "", false, errors.New(strings.Join(wrong, "; "))
		case !found:
			return b.String(), expanded, nil
		}
		switch {
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "{"):
			inner, rest, closed := strings.Cut(after[1:], "}")
			if !closed {
				wrong = append(wrong, "a ${ has no closing brace: write ${NAME}, or $${ for the characters themselves")
				return "", false, errors.New(strings.Join(wrong, "; "))
			}
			text = rest
			if inner == siteVariable {
				b.WriteString("${" + siteVariable + "}")
				continue
			}
			value, err := variable(inner, lookup)
			if err != nil {
				if text := err.Error(); !slices.Contains(wrong, text) {
					wrong = append(wrong, text)
				}
				continue
			}
			b.WriteString(value)
			expanded = true
		default:
			b.WriteByte('$')
			text = after
		}
	}
}

// variable resolves what stands between the braces.
func variable(inner string, lookup func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !isVariableName(name) {
		return "", errors.New("between ${ and } is no name of an environment variable: write ${NAME} or ${NAME:-default}, or $${ for the characters themselves")
	}
	value, ok := lookup(name)
	switch {
	case ok && value != "":
		return value, nil
	case hasFallback:
		return fallback, nil
	case ok:
		return "", nil
	}
	return "", fmt.Errorf("environment variable %s is not set: set it, or write ${%s:-default}", name, name)
}

func isVariableName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
