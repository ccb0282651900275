package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// expand replaces ${NAME} and ${NAME:-default} in text by the values that lookup gives.
// As in a shell, the default is used when the variable is unset or empty; it ends at the
// next brace and is not expanded itself. $$ is a dollar. A dollar before any other
// character is one, too, because passwords often have one. expanded reports whether a
// variable was replaced: then the value is text, also where the key wants a number.
// Errors name variables and never quote the text around them, which may be a URL with a
// password.
func expand(text string, lookup func(string) (string, bool)) (out string, expanded bool, err error) {
	if !strings.Contains(text, "$") {
		return text, false, nil
	}
	var b strings.Builder
	var wrong []string // all problems, so that the user can correct them together
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

// variable returns the value for the text between the braces.
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
