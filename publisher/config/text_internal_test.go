package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNearest(t *testing.T) {
	keys := []string{"listen", "idle_timeout", "head_timeout", "head_max", "body_max", "level", "url"}
	for word, want := range map[string]string{
		"listn":        "listen",
		"lisetn":       "listen", // a swap is one edit
		"Listen":       "listen",
		"idle-timeout": "idle_timeout",
		"idletimeout":  "idle_timeout",
		"head_mx":      "head_max",
		"levels":       "level",
		"URL":          "url",
		"heartbeat":    "",
		"x":            "",
		"ab":           "",
		"":             "",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestExpand(t *testing.T) {
	lookup := environment([]string{"HOST=rabbit", "EMPTY=", "DOLLARS=$$${HOST}", "P=a=b"})
	for _, test := range []struct {
		in, out  string
		expanded bool
		err      string
	}{
		{"", "", false, ""},
		{"plain", "plain", false, ""},
		{"${HOST}", "rabbit", true, ""},
		{"a${HOST}b${HOST}c", "arabbitbrabbitc", true, ""},
		{"${P}", "a=b", true, ""},
		{"${EMPTY}", "", true, ""},
		{"${EMPTY:-x}", "x", true, ""},
		{"${NONE:-x}", "x", true, ""},
		{"${NONE:-}", "", true, ""},
		{"${NONE:-a:-b$}", "a:-b$", true, ""},
		{"${HOST:-x}", "rabbit", true, ""},
		{"${DOLLARS}", "$$${HOST}", true, ""}, // a value is not expanded again
		{"$$", "$", false, ""},
		{"$${HOST}", "${HOST}", false, ""},
		{"$$$${HOST}", "$${HOST}", false, ""},
		{"$$${HOST}", "$rabbit", true, ""},
		{"pa$word$", "pa$word$", false, ""},
		{"${site_id}", "${site_id}", false, ""},
		{"${site_id}-${HOST}", "${site_id}-rabbit", true, ""},

		{"${NONE}", "", false, "variable NONE is not set"},
		{"${none}", "", false, "variable none is not set"},
		{"${NONE}:${none}@${HOST}${}", "", false, "variable none is not set: set it, or write ${none:-default}; between ${ and } is no name"},
		{"${NONE}:${HOST", "", false, "write ${NONE:-default}; a ${ has no closing brace"},
		{"${HOST", "", false, "no closing brace"},
		{"${}", "", false, "no name"},
		{"${1X}", "", false, "no name"},
		{"${A B}", "", false, "no name"},
		{"${:-x}", "", false, "no name"},
	} {
		out, expanded, err := expand(test.in, lookup)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: error %v, want %q", test.in, err, test.err)
			}
			continue
		}
		if err != nil || out != test.out || expanded != test.expanded {
			t.Errorf("%q: %q, %v, %v; want %q, %v", test.in, out, expanded, err, test.out, test.expanded)
		}
	}
}

func TestMaskURL(t *testing.T) {
	for url, want := range map[string]string{
		"amqp://u:secret@host:5672/v": "amqp://u:***@host:5672/v",
		"amqp://u:se@cr:et@host/":     "amqp://u:***@host/",
		"amqp://u:se/cr#et@host/":     "amqp://u:***@host/",
		"amqp://u@host/":              "amqp://u@host/",
		"amqp://host:5672/v":          "amqp://host:5672/v",
		"amqp://host:5672":            "amqp://host:5672",
		"amqp://host/":                "amqp://host/",
		"amqp://u:secret":             "amqp://u:***", // the @ forgotten
		"amqp://u:5secret":            "amqp://u:***",
		"u:secret@host":               "u:***@host",
		"embedded":                    "embedded",
		"":                            "",
	} {
		if got := maskURL(url); got != want {
			t.Errorf("maskURL(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                      "0s",
		time.Second:            "1s",
		time.Minute:            "1m",
		75 * time.Second:       "1m15s",
		time.Hour:              "1h",
		time.Hour + 10:         "1h0m0.00000001s",
		61 * time.Minute:       "1h1m",
		10 * time.Minute:       "10m",
		10 * time.Hour:         "10h",
		100 * time.Millisecond: "100ms",
	} {
		got := FormatDuration(d)
		if got != want {
			t.Errorf("formatDuration(%d) = %q, want %q", d, got, want)
		}
		if again, err := ParseDuration(got); err != nil || again != d {
			t.Errorf("formatDuration(%d) = %q reads as %v, %v", d, got, again, err)
		}
	}
}

func TestPathOfVariable(t *testing.T) {
	known := func(table []string) []string {
		switch join(table) {
		case "consumer":
			return []string{"mail-out", "billing"}
		case "broker.users":
			return []string{"Ann-1"}
		}
		return []string{"default"}
	}
	l := readEnv(settingsSchema, []string{
		"ZAMQP_LOG__LEVEL=debug",
		"ZAMQP_CONNECTION__DEFAULT__URL=amqp://a",
		"ZAMQP_CONSUMER__MAIL_OUT__RETRY__MAX=5s",
		"ZAMQP_BROKER__USERS__ANN_1__HASH=x",
		"ZAMQP_SERVICE_HOST=10.0.0.1", "ZAMQP_SERVICE_PORT=80", "ZAMQP_SERVICE_PORT_HTTP=80", "ZAMQP_PORT=tcp://10.0.0.1:80",
		"ZAMQP_PORT_80_TCP=tcp://10.0.0.1:80", "ZAMQP_PORT_80_TCP_ADDR=10.0.0.1",
		"PATH=/bin", "ZAMQPX=1",
	}, known)
	if len(l.problems) > 0 {
		t.Errorf("problems: %v", l.problems)
	}
	for _, path := range []string{"log.level", "connection.default.url", "consumer.mail-out.retry.max", "broker.users.Ann-1.hash"} {
		if _, ok := l.origins[path]; !ok {
			t.Errorf("no %s in %v", path, l.origins)
		}
	}
	if len(l.tree) != 4 {
		t.Errorf("tree: %v", l.tree)
	}
}

// TestOverlay: tables are merged, whatever else is there is replaced, and no layer is
// changed by a later one.
func TestOverlay(t *testing.T) {
	file := map[string]any{"a": map[string]any{"x": 1, "y": []any{1}}, "b": 2, "c": map[string]any{"z": 3}}
	env := map[string]any{"a": map[string]any{"x": 4}, "b": map[string]any{"n": 5}, "c": 6}
	all := map[string]any{}
	overlay(all, file)
	overlay(all, env)
	want := map[string]any{"a": map[string]any{"x": 4, "y": []any{1}}, "b": map[string]any{"n": 5}, "c": 6}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
	if file["a"].(map[string]any)["x"] != 1 {
		t.Error("the file's own tree was changed")
	}
}
