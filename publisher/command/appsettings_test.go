package command_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/publisher/config"
)

// shop is what a handler package might ask for.
type shop struct {
	Bank    string        `key:"bank" secret:"url"`
	Token   string        `key:"token" secret:"all"`
	Mode    string        `key:"mode" oneof:"live test"`
	Timeout time.Duration `key:"timeout" min:"1s" max:"1m"`
	Pause   time.Duration `key:"pause" min:"1s" max:"1h" off:"nobody waits"`
	Cache   config.Size   `key:"cache" min:"1KiB" max:"1GiB"`
	Tries   int           `key:"tries" min:"1" max:"10"`
	Dry     bool          `key:"dry"`
	Limit   *int          `key:"limit"`
	Mails   []string      `key:"mails"`
	Labels  publisher.Table
	Extra   publisher.Table `key:"extra"`
	Mail    struct {
		From string `key:"from"`
	} `key:"mail"`
	Sites map[string]*site `key:"sites"`
	own   int
}

type site struct {
	Host string `key:"host"`
	Port int    `key:"port" min:"1" max:"65535"`
}

// Check checks what a single key cannot tell.
func (s *shop) Check() error {
	if s.Dry && s.Mode == "live" {
		return errors.New("dry and mode = \"live\" contradict each other: remove one")
	}
	return nil
}

func declareShop() (*publisher.Registry, *shop) {
	into := &shop{Mode: "test", Timeout: 5 * time.Second, Cache: config.MiB, Tries: 3, own: 7, Sites: map[string]*site{"main": {"localhost", 80}}}
	r := publisher.NewRegistry()
	r.Settings("shop", into)
	r.Settings("mail-out", &struct {
		Host string `key:"host"`
	}{"localhost"})
	return r, into
}

// runWith runs the command line with the handlers of a registry.
func runWith(t *testing.T, ctx context.Context, r *publisher.Registry, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := &command.CLI{Registry: r, Environ: environ, Stdout: &out, Stderr: &errs}
	code = c.Run(ctx, args)
	return code, out.String(), errs.String()
}

// TestSettingsOfHandlers: each layer reaches the struct, in their order, and check
// shows what it amounts to.
func TestSettingsOfHandlers(t *testing.T) {
	t.Chdir(t.TempDir())
	file := `[http]
listen = []
[app.shop]
bank = "https://me:${PW}@bank/x"
token = "hush"
timeout = "7s"
tries = 4
extra = { a = 1 }
mail.from = "us"
[app.shop.sites.second]
host = "b"
port = 81
[app.mail-out]
host = "a"
`
	if err := os.WriteFile("config.toml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"PW=hunter2", "ZAMQP_APP__SHOP__TRIES=5", "ZAMQP_APP__SHOP__MAILS=a,b", "ZAMQP_APP__MAIL_OUT__HOST=c"}
	options := []string{"-o", "app.shop.tries=6", "-o", "app.shop.cache=2KiB", "-o", "app.shop.pause=off", "-o", "app.shop.sites.main.port=8080"}
	r, into := declareShop()
	before := *into
	code, stdout, stderr := runWith(t, t.Context(), r, environ, append([]string{"check"}, options...)...)
	want := `settings of handlers
  mail-out.host           "c"                         environment variable ZAMQP_APP__MAIL_OUT__HOST
  shop.bank               "https://me:***@bank/x"     config.toml:4
  shop.token              "***"                       config.toml:5
  shop.mode               "test"                      defaults
  shop.timeout            7s                          config.toml:6
  shop.pause              off                         -o
  shop.cache              2KiB                        -o
  shop.tries              6                           -o
  shop.dry                false                       defaults
  shop.limit              not set                     defaults
  shop.mails              ["a", "b"]                  environment variable ZAMQP_APP__SHOP__MAILS
  shop.extra              map[a:1]                    
  shop.mail.from          "us"                        config.toml:9
  shop.sites.main.host    "localhost"                 defaults
  shop.sites.main.port    8080                        -o
  shop.sites.second.host  "b"                         config.toml:11
  shop.sites.second.port  81                          config.toml:12
routes
`
	_, got, _ := strings.Cut(stdout, "producers\n")
	if code != 0 || stderr != "" || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("exit %d, stderr %q, stdout\n%s\nwant\n%s", code, stderr, got, want)
	}
	if !reflect.DeepEqual(*into, before) || into.Sites["main"].Port != 80 {
		t.Errorf("check has changed the handler's own: %+v", *into)
	}
}

func TestProblemsOfHandlersSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, row := range []struct{ name, file, environ, option, want string }{
		{"key", "[app.shop]\nbnak = \"\"", "", "", `config.toml:2: app.shop.bnak: unknown key; did you mean app.shop.bank?`},
		{"table", "[app.shpo]", "", "", `config.toml:1: app.shpo: no handler package registers settings of this name; did you mean app.shop?`},
		{"far", "[app.zzzzzzz]", "", "", `config.toml:1: app.zzzzzzz: no handler package registers settings of this name; there are mail-out, shop`},
		{"no table", "app = 1", "", "", `config.toml:1: app: want a table: write [app] and its keys below it`},
		{"no table below", "[app]\nshop = 1", "", "", `config.toml:2: app.shop: want a table: write [app.shop] and its keys below it`},
		{"unit", "[app.shop]\ntimeout = 5", "", "", `config.toml:2: app.shop.timeout = 5: a duration needs a unit: write "5s"`},
		{"range", "", "ZAMQP_APP__SHOP__TIMEOUT=2m", "", `environment variable ZAMQP_APP__SHOP__TIMEOUT: app.shop.timeout = "2m": out of range: the least is 1s and the most is 1m`},
		{"range of an option", "", "", "app.shop.tries=11", `-o: app.shop.tries = "11": out of range: the least is 1 and the most is 10`},
		{"word", "app.shop.mode = \"liev\"", "", "", `config.toml:1: app.shop.mode = "liev": no such word; did you mean "live"?`},
		{"variable", "", "ZAMQP_APP__SHOP__BNAK=x", "", `environment variable ZAMQP_APP__SHOP__BNAK: app.shop.bnak: unknown key; did you mean app.shop.bank?`},
		{"secret", "app.shop.token = 7", "", "", `config.toml:1: app.shop.token = "***": want a string`},
		{"unset", "app.shop.bank = \"${NO_PW}\"", "", "", `config.toml:1: app.shop.bank = "${NO_PW}": environment variable NO_PW is not set: set it, or write ${NO_PW:-default}`},
		{"inside", "app.shop.sites.x.port = 0", "", "", `config.toml:1: app.shop.sites.x.port = 0: out of range: the least is 1 and the most is 65535`},
		{"the whole", "[app.shop]\nmode = \"live\"\ndry = true", "", "", `config.toml:1: app.shop: dry and mode = "live" contradict each other: remove one`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := os.WriteFile("config.toml", []byte(row.file), 0o600); err != nil {
				t.Fatal(err)
			}
			r, _ := declareShop()
			args := []string{"check"}
			if row.option != "" {
				args = append(args, "-o", row.option)
			}
			code, _, stderr := runWith(t, t.Context(), r, []string{row.environ}, args...)
			if code != 1 || stderr != row.want+"\n" {
				t.Errorf("exit %d\n%s\nwant\n%s", code, stderr, row.want)
			}
		})
	}
}

// TestStructsThatCannotBeSettings: a mistake in the program is reported with its
// place.
func TestStructsThatCannotBeSettings(t *testing.T) {
	type part struct {
		Parts map[string]*part `key:"parts"`
	}
	for _, row := range []struct {
		into any
		want string
	}{
		{&struct {
			F float64 `key:"f"`
		}{}, "field F: a setting is no float64"},
		{&struct {
			f int `key:"f"`
		}{}, "field f has a key and is not exported"},
		{&struct {
			F int `key:"F"`
		}{}, `key "F": a key is made of`},
		{&struct {
			F int `key:"a"`
			G int `key:"a"`
		}{}, `field G: key "a" is there twice`},
		{&struct {
			F int `key:"a" min:"x" max:"2"`
		}{}, `field F: tag "x": want a whole number`},
		{&struct {
			F int `key:"a" min:"1"`
		}{}, "min and max come together"},
		{&struct {
			F map[string]string `key:"f"`
		}{}, "a map goes from string to a pointer to a struct"},
		{&struct {
			F *publisher.Table `key:"f"`
		}{}, "a setting is no"},
		{&part{}, "is a part of itself"},
	} {
		r := publisher.NewRegistry()
		r.Settings("shop", row.into)
		_, err := config.Load(config.Sources{}, r)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), `publisher.Settings("shop") at command/appsettings_test.go:`) {
			t.Errorf("%T: %v, want %s", row.into, err, row.want)
		}
	}
	for name, into := range map[string]any{"a b": &shop{}, "nil": nil, "value": shop{}, "null": (*shop)(nil), "shop": &shop{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			r, _ := declareShop()
			r.Settings(name, into)
		}()
	}
}
