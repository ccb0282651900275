package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// TestProblems has one mistake a row, and the whole line that reports it; the
// file is called F in it.
func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name, file, environ, option string
		want                        string
	}{
		// Unknown keys and names.
		{name: "near", file: "[http]\n\nlistn = \"\"", want: `F:3: http.listn: unknown key; did you mean http.listen?`},
		{name: "byte order mark", file: "\ufeff[http]\n\nlistn = \"\"", want: `F:3: http.listn: unknown key; did you mean http.listen?`},
		{name: "UTF-16", file: "\xff\xfe[\x00", want: `F:1: this is UTF-16: save it as UTF-8`},
		{name: "dash", file: `http.idle-timeout = "1s"`, want: `F:1: http.idle-timeout: unknown key; did you mean http.idle_timeout?`},
		{name: "table", file: "[logg]\nlevel = 1", want: `F:1: logg: unknown key; did you mean log?`},
		{name: "elsewhere", file: "[http]\nheartbeat = \"1s\"", want: `F:2: http.heartbeat: unknown key; did you mean broker.heartbeat or connection.NAME.heartbeat?`},
		{name: "top", file: `listen = ""`, want: `F:1: listen: unknown key; did you mean broker.listen or http.listen or http.tls.listen?`},
		{name: "far", file: "[site]\nzzzzz = 1", want: `F:2: site.zzzzz: unknown key; [site] has id, base_url`},
		{name: "no table", file: "[zzzzz]", want: `F:1: zzzzz: unknown key; there are the tables ` + strings.Join(config.Tables(), ", ") + ", app"},
		{name: "connection key", file: "[connection.default]\nhartbeat = \"1s\"", want: `F:2: connection.default.hartbeat: unknown key; did you mean connection.default.heartbeat?`},
		{name: "consumer key", file: "[consumer.billing]\nprefech = 1", want: `F:2: consumer.billing.prefech: unknown key; did you mean consumer.billing.prefetch?`},
		{name: "inline", file: "[consumer.billing]\nretry = { min = \"1s\",\n mix = \"2s\" }", want: `F:3: consumer.billing.retry.mix: unknown key; did you mean consumer.billing.retry.min?`},
		{name: "producer key", file: "producer.orders.code = \"json\"", want: `F:1: producer.orders.code: unknown key; did you mean producer.orders.codec?`},
		{name: "consumer name", file: "[consumer.biling]\nprefetch = 1", want: `F:1: consumer.biling: no handler package registers a consumer of this name; did you mean consumer.billing?`},
		{name: "producer name", file: "[producer.zzzzz]", want: `F:1: producer.zzzzz: no handler package registers a producer of this name; there are orders`},
		{name: "connection name", file: "[connection.\"a.b\"]", want: `F:1: connection.a.b: a name is made of letters, digits, - and _`},
		{name: "env key", environ: "ZAMQP_HTTP__LISTN=x", want: `environment variable ZAMQP_HTTP__LISTN: http.listn: unknown key; did you mean http.listen?`},
		{name: "env underscore", environ: "ZAMQP_HTTP_LISTEN=x", want: `environment variable ZAMQP_HTTP_LISTEN: no setting has this name: two underscores separate the parts of a key, as in ZAMQP_LOG__LEVEL; did you mean ZAMQP_HTTP__LISTEN?`},
		{name: "env empty part", environ: "ZAMQP_HTTP____LISTEN=x", want: `environment variable ZAMQP_HTTP____LISTEN: no setting has this name: two underscores separate the parts of a key, as in ZAMQP_LOG__LEVEL; did you mean ZAMQP_HTTP__LISTEN?`},
		{name: "env far", environ: "ZAMQP_Q=x", want: `environment variable ZAMQP_Q: no setting has this name: two underscores separate the parts of a key, as in ZAMQP_LOG__LEVEL`},
		{name: "option key", option: "http.listn=x", want: `-o: http.listn: unknown key; did you mean http.listen?`},
		{name: "option below", option: "http.listen.x=x", want: `-o: http.listen: want a string or a list of strings, like ["a", "b"]`},
		{name: "option no table", option: "level=x", want: `-o level: no setting has this name: write the table and the key, as in -o log.level=debug`},
		{name: "option no =", option: "log.level", want: `-o: no = in it: write -o key.path=value, as in -o log.level=debug`},

		// Wrong types.
		{name: "text", file: `site.id = 7`, want: `F:1: site.id = 7: want a string: write "7"`},
		{name: "text list", file: `site.id = [7]`, want: `F:1: site.id = [7]: want a string`},
		{name: "number", file: `http.fields_max = "7"`, want: `F:1: http.fields_max = "7": want a whole number: write 7 without quotes`},
		{name: "number text", file: `http.fields_max = "many"`, want: `F:1: http.fields_max = "many": want a whole number, like 100`},
		{name: "number float", file: `http.fields_max = 7.5`, want: `F:1: http.fields_max = 7.5: want a whole number, like 100`},
		{name: "number expanded", file: `http.fields_max = "${M}"`, environ: "M=x", want: `F:1: http.fields_max = "x" (from "${M}"): want a whole number, like 100`},
		{name: "truth", file: `connection.default.confirms = "true"`, want: `F:1: connection.default.confirms = "true": want true or false: write true without quotes`},
		{name: "truth number", file: `connection.default.confirms = 1`, want: `F:1: connection.default.confirms = 1: want true or false`},
		{name: "truth env", environ: "ZAMQP_CONNECTION__DEFAULT__CONFIRMS=yes", want: `environment variable ZAMQP_CONNECTION__DEFAULT__CONFIRMS: connection.default.confirms = "yes": want true or false`},
		{name: "list", file: `http.listen = 8080`, want: `F:1: http.listen = 8080: want a string or a list of strings, like ["a", "b"]`},
		{name: "list item", file: `http.listen = [8080]`, want: `F:1: http.listen = [8080]: want a string or a list of strings, like ["a", "b"]`},
		{name: "list option", option: `http.listen=[":1"`, want: `-o: http.listen = "[\":1\"": want a string or a list of strings, like ["a", "b"]`},
		{name: "word", file: `log.level = "inof"`, want: `F:1: log.level = "inof": no such word; did you mean "info"?`},
		{name: "word far", file: `log.format = "xml"`, want: `F:1: log.format = "xml": no such word; there are auto, console, json`},
		{name: "no table", file: `http = 1`, want: `F:1: http: want a table: write [http] and its keys below it`},
		{name: "no named table", file: `connection.default = "amqp://u:hunter2@h"`, want: `F:1: connection.default: want a table: write [connection.default] and its keys below it`},
		{name: "key too high", file: `connection.url = "amqp://u:hunter2@h"`, want: `F:1: connection.url: is one table too high: write [connection.default] and url below it`},
		{name: "key of none", file: `consumer.prefetch = 5`, want: `F:1: consumer.prefetch: is one table too high: write [consumer.NAME] and prefetch below it`},
		{name: "tables", file: `[[consumer.billing]]`, want: `F:1: consumer.billing: want a table: write [consumer.billing] and its keys below it`},
		{name: "argument", file: "[consumer.billing]\narguments = { a = 12:00:00 }", want: `F:2: consumer.billing.arguments.a = 12:00:00: AMQP has no such type: want a string, a number, true or false, a time with its zone, a list or a table`},
		{name: "arguments", option: `producer.orders.arguments=x`, want: `-o: producer.orders.arguments: want a table: write [producer.orders.arguments] and its keys below it`},

		// Units and ranges.
		{name: "no unit", file: `http.idle_timeout = 75`, want: `F:1: http.idle_timeout = 75: a duration needs a unit: write "75s"`},
		{name: "no unit float", file: `http.idle_timeout = 7.5`, want: `F:1: http.idle_timeout = 7.5: a duration needs a unit: write "7.5s"`},
		{name: "no unit env", environ: "ZAMQP_HTTP__IDLE_TIMEOUT=75", want: `environment variable ZAMQP_HTTP__IDLE_TIMEOUT: http.idle_timeout = "75": a duration needs a unit: write "75s"`},
		{name: "size unit", file: `http.body_max = "8M"`, want: `F:1: http.body_max = "8M": no unit "M": write "8MiB"`},
		{name: "size type", file: `http.body_max = true`, want: `F:1: http.body_max = true: want a size: a whole number with its unit, like "64KiB"`},
		{name: "range", file: `http.fields_max = 0`, want: `F:1: http.fields_max = 0: out of range: the least is 4 and the most is 10000`},
		{name: "range size", file: `connection.default.frame_max = "1MiB"`, want: `F:1: connection.default.frame_max = "1MiB": out of range: the least is 4KiB and the most is 128KiB`},
		{name: "range off", file: `loop.stall_warning = "2h"`, want: `F:1: loop.stall_warning = "2h": out of range: the least is 1ms and the most is 1h; 0 or "off" means that nobody watches for stalls`},
		{name: "negative", file: `http.body_max = -1`, want: `F:1: http.body_max = -1: out of range: the least is 1B and the most is 1GiB`},
		{name: "no off", file: `http.head_timeout = "off"`, want: `F:1: http.head_timeout = "off": cannot be off: the least is 100ms`},
		{name: "no zero", file: `http.head_timeout = 0`, want: `F:1: http.head_timeout = 0: out of range: the least is 100ms and the most is 1h`},

		// Expansion.
		{name: "unset", file: `connection.default.url = "amqp://u:${PW_X}@h"`, want: `F:1: connection.default.url = "amqp://u:***@h": environment variable PW_X is not set: set it, or write ${PW_X:-default}`},
		{name: "unset option", option: `site.id=${PW_X}`, want: `-o: site.id: environment variable PW_X is not set: set it, or write ${PW_X:-default}`},
		{name: "unset in list", file: `http.listen = ["${L_X}"]`, want: `F:1: http.listen = [${L_X}]: environment variable L_X is not set: set it, or write ${L_X:-default}`},
		{name: "unset argument", file: `consumer.billing.arguments = { a = "${A_X}" }`, want: `F:1: consumer.billing.arguments.a = "${A_X}": environment variable A_X is not set: set it, or write ${A_X:-default}`},
		{name: "brace", file: `site.id = "${X"`, want: `F:1: site.id = "${X": a ${ has no closing brace: write ${NAME}, or $${ for the characters themselves`},

		// What one key alone cannot tell.
		{name: "address", file: `http.listen = "8080"`, want: `F:1: http.listen = "8080": not an address: write "host:port", ":8080" or "unix:/path"; an IPv6 host in brackets`},
		{name: "port", file: `http.listen = ":http"`, want: `F:1: http.listen = ":http": the port is a number from 0 to 65535`},
		{name: "socket", file: `http.listen = "unix:"`, want: `F:1: http.listen = "unix:": a socket's path has 1 to 103 octets: write "unix:/run/zamqp.sock"`},
		{name: "twice", file: `http.listen = [":1", ":1"]`, want: `F:1: http.listen = ":1": listed twice: remove one`},
		{name: "target", file: `http.head_max = "4KiB"`, want: `defaults: http.target_max = 8KiB: the target is part of the head: write at most http.head_max, 4KiB`},
		{name: "server name", file: `http.server_name = "a\nb"`, want: `F:1: http.server_name = "a\nb": a header field holds visible ASCII: remove the rest`},
		{name: "embedded vhost", file: `connection.default.url = "embedded/a%2Fb"`, want: `F:1: connection.default.url = "embedded/a%2Fb": the embedded broker has no virtual host "a/b": add it to broker.vhosts`},
		{name: "embedded escape", file: `connection.default.url = "embedded/%"`, want: `F:1: connection.default.url = "embedded/%": not a virtual host: write "embedded" or "embedded/vhost", with %XX for / and %`},
		{name: "scheme", file: `connection.default.url = "http://u:hunter2@h"`, want: `F:1: connection.default.url = "http://u:***@h": not a broker's URL: write "amqp://user:password@host:5672/vhost", or "embedded" for a broker in this process`},
		{name: "url", file: `connection.default.url = "amqp://u:hun/ter2@h"`, want: `F:1: connection.default.url = "amqp://u:***@h": not a URL: write "amqp://user:password@host:5672/vhost", with %XX for / # ? @ : % and spaces in user, password and vhost`},
		{name: "url port", file: `connection.default.url = "amqp://h:99999"`, want: `F:1: connection.default.url = "amqp://h:99999": not a URL: write "amqp://user:password@host:5672/vhost", with %XX for / # ? @ : % and spaces in user, password and vhost`},
		{name: "heartbeat", file: `connection.default.heartbeat = "1500ms"`, want: `F:1: connection.default.heartbeat = 1.5s: AMQP counts heartbeats in whole seconds: round it`},
		{name: "backoff", file: `connection.default.backoff_min = "2m"`, want: `F:1: connection.default.backoff_min = 2m: more than connection.default.backoff_max, 1m: swap them`},
		{name: "connection", file: `producer.orders.connection = "defualt"`, want: `F:1: producer.orders.connection = "defualt": there is no [connection.defualt]; did you mean "default"?`},
		{name: "connection far", file: `consumer.billing.connection = "other"`, want: `F:1: consumer.billing.connection = "other": there is no [connection.other]: add it, with its url`},
		{name: "long name", file: `consumer.billing.queue = "` + strings.Repeat("q", 256) + `"`, want: `F:1: consumer.billing.queue = "` + strings.Repeat("q", 76) + `...: AMQP's names have at most 255 octets, this has 256`},

		// The file itself.
		{name: "syntax", file: "[http]\nlisten = :8080\n", want: `F:2: column 10: not TOML: `},
		{name: "half string", file: "a = \"x", want: `F:1: column `},
		{name: "twice the key", file: "[http]\nbody_max = 1\nbody_max = 2\n", want: `F:3: column 1: not TOML: `},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, test.file)
			src := config.Sources{File: file, Environ: []string{test.environ}}
			if test.option != "" {
				src.Options = []string{test.option}
			}
			_, err := config.Load(src, registry())
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), file, "F")
			if strings.HasSuffix(test.want, " ") && strings.HasPrefix(got, test.want) {
				return // the TOML parser's own words follow
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestAddressProblems: what the server believes about its own address is checked.
func TestAddressProblems(t *testing.T) {
	for option, want := range map[string]string{
		"site.base_url=shop.example.com":       `-o: site.base_url = "shop.example.com": want "https://HOST", "http://HOST:PORT" or one followed by a path`,
		"site.base_url=https://a/?b":           `-o: site.base_url = "https://a/?b": it ends with the path: remove the query and the fragment`,
		"site.base_url=https://${site_id}.a":   `-o: site.base_url = "https://${site_id}.a": site.id is not set: name this deployment there`,
		"http.trusted_proxies=10.0.0.1/8":      `-o: http.trusted_proxies = "10.0.0.1/8": an address within a network: write 10.0.0.0/8, or the address without the slash`,
		"http.trusted_proxies=proxy.local":     `-o: http.trusted_proxies = "proxy.local": not a network: write "10.0.0.0/8", "192.0.2.7" or "unix"`,
		`http.trusted_proxies=["unix","::1"]`:  "",
		"site.base_url=https://shop.example/a": "",
	} {
		_, err := config.Load(config.Sources{Options: []string{option}}, publisher.NewRegistry())
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v\nwant %s", option, err, want)
		}
	}
}

// TestAllProblemsAtOnce: one from each step and each source, in the order of
// the sources.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := load(t, "[http]\nlistn = 1\nbody_max = \"x\"\nlisten = \":x\"\n[consumer.zzz]\n",
		[]string{"ZAMQP_LOG__LEVEL=loud", "ZAMQP_X=1"}, []string{"site.idd=1", "server.calls_max=0"})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{"http.listn", "http.body_max", "http.listen", "consumer.zzz", "log.level", "ZAMQP_X", "server.calls_max", "site.idd"}
	if len(lines) != len(want) {
		t.Fatalf("got:\n%v\nwant %d lines", err, len(want))
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("line %d: %s\nwant %s", i, line, want[i])
		}
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "nope.toml")
	_, err := config.Load(config.Sources{File: name}, registry())
	if err == nil || err.Error() != name+": cannot read the configuration: "+os.ErrNotExist.Error() &&
		!strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("%v", err)
	}
}

// TestNoPasswordInProblems puts a password wherever a URL may be put by mistake.
func TestNoPasswordInProblems(t *testing.T) {
	for _, text := range []string{
		`connection.default.url = "amqp://u:hunter2@h:x/"`,
		`connection.default.url = "amqp://u:hunter2"`,
		`connection.default.url = "u:hunter2@h"`,
		`connection.default.url = "amqp://u:hunter2@h/${NONE}"`,
		`connection.default.url = "amqp://u:hunter2${h@h/"`,
		`connection.default.url = "amqp://u:${a hunter2}@h/"`,
		`connection.default.url = ["amqp://u:hunter2@h", "amqp://u:hunter2@h"]`,
		`connection.default.url = ["amqp://u:hunter2@h", "amqp://v:hunter2@h"]`,
		`connection.default.url = ["amqp://u:hunter2@h", "embedded"]`,
		`connection.default.url = ["amqp://u:hunter2@h", "amqp://u:hunter2"]`,
		`connection.default.url = ["amqp://u:${a hunter2}@h/"]`,
		`connection.default.url = ["u:hunter2@h", 5]`,
		`connection.default.url = "amqp://u:hunter2@h?heartbeats=5"`,
		`connection.default.url = "amqp://u:hunter2@h?verify=hunter"`,
		`connection.default.url = "amqp://u:hunter2@h?verify=%"`,
		`connection.default.url = "amqp://u:hun#ter2@h"`,
		`connection.default.url = "amqp://u:hunter2,hunter2"`,
		"[connection.default]\nurl = \"amqp://u:hunter2@h\"\npassword_file = \"/dev/null\"",
		`connection.default.url = "amqp://u:hunter2@h:${P:-x}"`,
		`connection.default = "amqp://u:hunter2@h"`,
		`connection = "u:hunter2@h"`,
		`connection.default.heartbeat = "amqp://u:hunter2@h"`,
		`connection.default.ur = "amqp://u:hunter2@h"`,
		`http.listen = "amqp://u:hunter2@h"`,
		"connection.default.url = \"amqp://u:hunter2@h\"\n[",
		"connection.default.url = \"amqp://u:hunter2@h\n\"",
	} {
		_, err := load(t, text, nil, nil)
		if err == nil {
			t.Errorf("%s: no error", text)
		} else if strings.Contains(err.Error(), "unter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
