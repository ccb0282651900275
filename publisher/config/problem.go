package config

import (
	"fmt"
	"sort"
	"strings"
)

// Prefixes of Origin.Source for sources that are not files.
const (
	envOrigin    = "environment variable "
	optionOrigin = "-o"
)

// Origin is the place that a value comes from.
type Origin struct {
	Source string // the file's name, "environment variable X", "-o"; "" = built-in default
	Line   int    // in the file, from 1; 0 = unknown
}

// String writes "config.toml:12" or "environment variable ZAMQP_LOG__LEVEL".
func (o Origin) String() string {
	switch {
	case o.Source == "":
		return "defaults"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Source, o.Line)
	}
	return o.Source
}

// rank is the order in which sources override each other: file, environment, -o.
func (o Origin) rank() int {
	switch {
	case strings.HasPrefix(o.Source, envOrigin):
		return 1
	case strings.HasPrefix(o.Source, optionOrigin):
		return 2
	}
	return 0
}

// Problem is one thing wrong with the configuration: where, which key, the
// value found, and what to do about it.
type Problem struct {
	Origin Origin
	Key    string // dotted path; "" = the whole source
	Value  string // as the user wrote it, with passwords masked; "" = not shown
	Text   string // what is wrong, and the remedy
}

// Error writes `config.toml:12: http.idle_timeout = 75: a duration needs …`.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Origin.String())
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	if p.Value != "" {
		b.WriteString(" = " + p.Value)
	}
	b.WriteString(": " + p.Text)
	return b.String()
}

// Problems is every problem of a configuration, as one error with a line each.
type Problems []*Problem

// Error writes one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, 0, len(ps))
	for _, p := range ps {
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single problems.
func (ps Problems) Unwrap() []error {
	errs := make([]error, 0, len(ps))
	for _, p := range ps {
		errs = append(errs, p)
	}
	return errs
}

// err returns the problems sorted by source, line and key, or nil.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if x, y := a.Origin.rank(), b.Origin.rank(); x != y {
			return x < y
		}
		if a.Origin.Source != b.Origin.Source {
			return a.Origin.Source < b.Origin.Source
		}
		if a.Origin.Line != b.Origin.Line {
			return a.Origin.Line < b.Origin.Line
		}
		return a.Key < b.Key
	})
	return ps
}
