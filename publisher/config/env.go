package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// envPrefix starts the name of every variable that is a setting.
const envPrefix = "ZAMQP_"

// kubernetesLink matches the variables that Kubernetes sets in every pod next to a
// Service called "zamqp". They are no settings. The expression is compiled only when a
// variable begins with the prefix, to save time at each start.
var kubernetesLink = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^ZAMQP_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
})

// readEnv makes a layer of environment variables ("NAME=value", as os.Environ
// gives them): ZAMQP_CONNECTION__DEFAULT__URL is connection.default.url. A variable's
// name has neither small letters nor dashes, so that [consumer.mail-Out] is
// ZAMQP_CONSUMER__MAIL_OUT; known gives the names that a part of it may stand for.
func readEnv(s *schema, environ []string, known func(table []string) []string) *layer {
	l := newLayer(s)
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || kubernetesLink().MatchString(name) {
			continue
		}
		from := Origin{Source: envOrigin + name}
		path := strings.Split(strings.ToLower(rest), "__")
		if len(path) < 2 || hasEmpty(path) {
			l.problems = append(l.problems, &Problem{Origin: from, Text: envNameProblem(rest)})
			continue
		}
		for i := 1; i < len(path); i++ {
			if s.holdsNames(path[:i]) || join(path[:i]) == appKey {
				path[i] = existing(path[i], known(path[:i]))
			}
		}
		l.put(path, value, from)
	}
	return l
}

// envNameProblem explains why a name is no path. Every setting is in a table, so its variable
// has two underscores somewhere.
func envNameProblem(rest string) string {
	text := "no setting has this name: two underscores separate the parts of a key, as in ZAMQP_LOG__LEVEL"
	variables := map[string]string{}
	var names []string
	for _, key := range settingsSchema.keys("", "default") {
		// Compare with single underscores on both sides, because that is the usual mistake.
		name := strings.ReplaceAll(key, ".", "_")
		variables[name] = envName(key)
		names = append(names, name)
	}
	if best := nearest(strings.ToLower(rest), names); best != "" {
		text += fmt.Sprintf("; did you mean %s?", variables[best])
	}
	return text
}

// envName returns the variable for a key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(key, ".", "__"), "-", "_"))
}

// existing returns the name that a part of a variable's name stands for, or else the part
// itself.
func existing(part string, names []string) string {
	for _, name := range names {
		if fold(name) == fold(part) {
			return name
		}
	}
	return part
}

func hasEmpty(path []string) bool { return slices.Contains(path, "") }

// readOptions makes a layer of "key.path=value" options. Later ones win. ${NAME} is
// expanded as in the file, so that a password does not have to be on a command line,
// which every user of the machine can see. Environment variables are not expanded: they
// may hold any character.
func readOptions(s *schema, options []string, lookup func(string) (string, bool)) *layer {
	l := newLayer(s)
	for _, option := range options {
		key, value, found := strings.Cut(option, "=")
		key = strings.TrimSpace(key)
		path := strings.Split(key, ".")
		switch {
		case !found:
			// The text is not shown: without its key, it may be a secret.
			l.problems = append(l.problems, &Problem{
				Origin: Origin{Source: optionOrigin},
				Text:   "no = in it: write -o key.path=value, as in -o log.level=debug",
			})
		case len(path) < 2 || hasEmpty(path):
			l.problems = append(l.problems, &Problem{
				Origin: Origin{Source: optionOrigin + " " + key},
				Text:   "no setting has this name: write the table and the key, as in -o log.level=debug",
			})
		default:
			value, _, err := expand(value, lookup)
			if err != nil {
				l.problems = append(l.problems, &Problem{Origin: Origin{Source: optionOrigin}, Key: key, Text: err.Error()})
				continue
			}
			l.put(path, value, Origin{Source: optionOrigin})
		}
	}
	return l
}
