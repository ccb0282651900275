package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/publisher/config"
)

// write makes a config file of the test and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func load(t *testing.T, text string, environ, options []string) (*config.Settings, error) {
	t.Helper()
	return config.Load(config.Sources{File: write(t, text), Environ: environ, Options: options}, registry())
}

func mustLoad(t *testing.T, text string, environ, options []string) *config.Settings {
	t.Helper()
	s, err := load(t, text, environ, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNoFileIsDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := config.Load(config.Sources{}, registry())
	if err != nil {
		t.Fatal(err)
	}
	want := config.Defaults()
	if !reflect.DeepEqual(s.HTTP, want.HTTP) || !reflect.DeepEqual(s.Connections, want.Connections) {
		t.Errorf("got %+v", s)
	}
}

func TestFileOfTheFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.toml", []byte("site.id = \"here\""), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.Load(config.Sources{}, registry())
	if err != nil || s.Site.ID != "here" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPrecedence(t *testing.T) {
	file := "[site]\nid = \"file\"\n[log]\nlevel = \"warn\"\n[http]\nhead_max = \"32KiB\"\n"
	environ := []string{"ZAMQP_SITE__ID=env", "ZAMQP_LOG__LEVEL=error"}
	s := mustLoad(t, file, environ, []string{"site.id=one", "site.id=two"})
	if s.Site.ID != "two" || s.Log.Level != "error" || s.HTTP.HeadMax != 32*config.KiB || s.HTTP.TargetMax != 8*config.KiB {
		t.Errorf("site %q, level %q, head_max %v, target_max %v", s.Site.ID, s.Log.Level, s.HTTP.HeadMax, s.HTTP.TargetMax)
	}
}

// TestValues reads each kind of value from each source.
func TestValues(t *testing.T) {
	get := func(s *config.Settings) []any {
		return []any{s.HTTP.Listen, s.HTTP.IdleTimeout, s.HTTP.BodyMax, s.HTTP.FieldsMax, s.Loop.StallWarning,
			s.HTTP.BodyRateMin, s.Connections["default"].Confirms, s.Connections["two"].URI.Host}
	}
	want := []any{[]string{":1", "unix:/s"}, 90 * time.Second, 2 * config.MiB, 50, time.Duration(0),
		config.Size(0), false, "rabbit"}
	keys := map[string]string{
		"http.listen": ":1, unix:/s", "http.idle_timeout": "1m30s", "http.body_max": "2MiB", "http.fields_max": "50",
		"loop.stall_warning": "off", "http.body_rate_min": "0", "connection.default.confirms": "false",
		"connection.two.url": "amqp://rabbit",
	}
	var environ, options []string
	for key, value := range keys {
		options = append(options, key+"="+value)
		environ = append(environ, "ZAMQP_"+strings.ToUpper(strings.ReplaceAll(key, ".", "__"))+"="+value)
	}
	file := `
http.listen = [":1", "${SOCKET}"]
http.idle_timeout = "1m30s"
http.body_max = 2097152
http.fields_max = "${FIELDS:-50}"
loop = { stall_warning = "off" }
http.body_rate_min = 0
[connection]
default.confirms = false
two = { url = "amqp://${RABBIT:-rabbit}" }
`
	for source, s := range map[string]*config.Settings{
		"file":        mustLoad(t, file, []string{"SOCKET=unix:/s"}, nil),
		"environment": mustLoad(t, "", environ, nil),
		"-o":          mustLoad(t, "", nil, options),
		"list":        mustLoad(t, file, []string{"SOCKET=:9"}, []string{`http.listen=[":1", "unix:/s"]`}),
	} {
		if got := get(s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v\nwant %v", source, got, want)
		}
	}
}

func TestConnectionStartsFromDefaults(t *testing.T) {
	s := mustLoad(t, "[connection.two]\nurl = \"amqp://u:p%2Fw@h:1234/a%2Fb\"", nil, nil)
	if s := mustLoad(t, `connection.default.url = "amqps://h"`, nil, nil); s.Connections["default"].URI.Port != 5671 {
		t.Errorf("%+v", s.Connections["default"].URI)
	}
	two := s.Connections["two"]
	want := amqp.URI{Scheme: "amqp", Host: "h", Port: 1234, Username: "u", Password: "p/w", Vhost: "a/b"}
	if two.URI != want || two.Heartbeat != time.Minute || two.Prefetch != 100 || s.Connections["default"] == nil {
		t.Errorf("%+v", two)
	}
}

// TestBrokerUsers: a hash alone is a user, in every source, and a later source adds to what
// an earlier one says about the same user.
func TestBrokerUsers(t *testing.T) {
	const hash = "$2a$10$JwnGb6.OdUTGTY6adH0dSOsd7KQgMgOebcdcPe/mGhBTQ5NFWW3aG"
	file := "broker.vhosts = [\"/\", \"a.b\"]\n[broker.users]\nann = \"" + hash + "\"\nguest = \"\"\n" +
		"[broker.users.Bob-1]\ntags = [\"x\"]\npermissions.\"a.b\" = { read = \"^q\" }\n"
	s := mustLoad(t, file, []string{"ZAMQP_BROKER__USERS__BOB_1=" + hash, "ZAMQP_BROKER__USERS__CID__HASH=" + hash},
		[]string{"broker.users.ann.tags=administrator"})
	want := map[string]*config.BrokerUser{
		"ann":   {Hash: hash, Tags: []string{"administrator"}},
		"guest": {},
		"Bob-1": {Hash: hash, Tags: []string{"x"}, Permissions: map[string]*config.BrokerPermission{"a.b": {Read: "^q"}}},
		"cid":   {Hash: hash},
	}
	if !reflect.DeepEqual(s.Broker.Users, want) {
		for name, u := range s.Broker.Users {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

func TestEmbeddedURL(t *testing.T) {
	for url, vhost := range map[string]string{"embedded": "first", "embedded/first": "first", "embedded/a%2Fb": "a/b"} {
		s := mustLoad(t, "broker.vhosts = [\"first\", \"a/b\"]\nconnection.default.url = \""+url+"\"", nil, nil)
		if c := s.Connections["default"]; !c.Embedded() || c.URI.Vhost != vhost {
			t.Errorf("%s: %+v", url, c.URI)
		}
	}
}

func TestListenOff(t *testing.T) {
	for _, text := range []string{`http.listen = ""`, `http.listen = []`} {
		if s := mustLoad(t, text, nil, nil); len(s.HTTP.Listen) != 0 {
			t.Errorf("%s: %q", text, s.HTTP.Listen)
		}
	}
	if s := mustLoad(t, "", []string{"ZAMQP_HTTP__LISTEN="}, nil); len(s.HTTP.Listen) != 0 {
		t.Errorf("environment: %q", s.HTTP.Listen)
	}
}

// TestExpansionBySource: file and -o expand, the environment's values are taken
// as they are.
func TestExpansionBySource(t *testing.T) {
	environ := []string{"NAME=x", "ZAMQP_LOG__FORMAT=json", "ZAMQP_SITE__ID=$$${NAME}"}
	if s := mustLoad(t, "", environ, nil); s.Site.ID != "$$${NAME}" {
		t.Errorf("environment: %q", s.Site.ID)
	}
	if s := mustLoad(t, "", environ, []string{"site.id=$$${NAME}"}); s.Site.ID != "$x" {
		t.Errorf("-o: %q", s.Site.ID)
	}
	if s := mustLoad(t, `site.id = "$$${NAME}"`, environ[:2], nil); s.Site.ID != "$x" {
		t.Errorf("file: %q", s.Site.ID)
	}
}

func TestOverridesTellUnset(t *testing.T) {
	s := mustLoad(t, `
[consumer.billing]
prefetch = 7
durable = false
routing_keys = []
retry = { max = "5s" }
[producer.orders]
exchange = ""
`, nil, []string{"consumer.mail-out.queue=out-${site_id}"})
	b, o := s.Consumers["billing"], s.Producers["orders"]
	if b.Prefetch != 7 || !b.Transient || b.RoutingKeys == nil || len(b.RoutingKeys) != 0 || b.Retry.Max != 5*time.Second {
		t.Errorf("%+v", b)
	}
	registered := registry()
	was := registered.Consumers()["billing"]
	if b.Queue != was.Queue || b.Disabled || b.Arguments != nil || b.Retry.Min != 0 || b.Retry.Attempts != 0 || b.Exchange != was.Exchange {
		t.Errorf("set, but nobody did: %+v", b)
	}
	if o.Exchange != "" || o.Codec != "" || o.ExchangeType != "topic" {
		t.Errorf("%+v", o)
	}
	if s.Consumers["mail-out"].Queue != "out-${site_id}" || !reflect.DeepEqual(*s.Consumers["hello"], registered.Consumers()["hello"]) {
		t.Errorf("%+v", s.Consumers)
	}
}

func TestArguments(t *testing.T) {
	s := mustLoad(t, `
[consumer.billing.arguments]
x-max-length = 1000
x-message-ttl = 1.5
"x.y" = "${NAME}"
flag = true
since = 2026-01-02T03:04:05Z
list = ["a", 1, { b = 2 }]
table = { c = "d" }
`, []string{"NAME=n", "ZAMQP_CONSUMER__HELLO__ARGUMENTS={ x-queue-type = \"quorum\", x-max-length = 1 }"},
		[]string{"consumer.billing.arguments.x-max-length=5", "consumer.billing.arguments.a.b=c d", "consumer.billing.arguments.on=true"})
	want := amqp.Table{
		"x-max-length": int64(5), "x-message-ttl": 1.5, "x.y": "n", "flag": true, "on": true, "a.b": "c d",
		"since": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"list":  []any{"a", int64(1), amqp.Table{"b": int64(2)}},
		"table": amqp.Table{"c": "d"},
	}
	got := s.Consumers["billing"].Arguments
	if since, ok := got["since"].(time.Time); ok {
		got["since"] = since.UTC()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v\nwant %#v", got, want)
	}
	want = amqp.Table{"x-queue-type": "quorum", "x-max-length": int64(1)}
	if got := s.Consumers["hello"].Arguments; !reflect.DeepEqual(got, want) {
		t.Errorf("environment: %#v", got)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("not for AMQP: %v", err)
	}
}

func TestProblemsAreErrors(t *testing.T) {
	_, err := load(t, "http.listn = 1\nlog.level = 2", nil, nil)
	var one *config.Problem
	var all config.Problems
	if !errors.As(err, &all) || len(all) != 2 || !errors.As(err, &one) || one.Key != "http.listn" || one.Origin.Line != 1 {
		t.Errorf("%#v", err)
	}
}

// FuzzLoad: whatever the file and an option say, Load returns settings or
// problems.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "[http]\nlisten = [\":1\"]", "a.b.c = {d = [1, {e = 2}]}", "[[consumer.hello]]", "connection.default.url = \"${X:-amqp://h}\"",
		"consumer.hello.arguments = { a = 1e5, b = 1979-05-27T07:32:00Z }", "\"\".\"\" = 1", "http.\"idle.timeout\" = '''\n'''",
	} {
		f.Add(seed, "http.listen=[1")
	}
	name := filepath.Join(f.TempDir(), "config.toml")
	f.Fuzz(func(t *testing.T, text, option string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := config.Load(config.Sources{File: name, Options: []string{option}, Environ: []string{"ZAMQP_" + option}}, registry())
		if (s == nil) == (err == nil) {
			t.Errorf("%v, %v", s, err)
		}
	})
}
