package config_test

import (
	"strings"
	"testing"

	"zamqp/publisher/config"
)

// TestBrokerProblems is TestProblems for [broker].
func TestBrokerProblems(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"broker unix", `broker.listen = "unix:/x"`, `F:1: broker.listen = "unix:/x": AMQP's clients know no unix sockets: write "host:port"`},
		{"broker listen", `broker.listen = "5672"`, `F:1: broker.listen = "5672": not an address: write "host:port" or ":5672"; an IPv6 host in brackets`},
		{"broker twice", `broker.listen = ["[::1]:1", "localhost:1", "[::1]:1"]`, `F:1: broker.listen = "[::1]:1": listed twice: remove one`},
		{"broker plain", `broker.listen = [":5672", "127.9.9.9:5672"]`, `F:1: broker.listen = ":5672": other machines reach this address, and without TLS passwords and messages can be read on the way: set broker.tls_cert and broker.tls_key, or broker.allow_plain = true if the network is trusted`},
		{"broker half tls", `broker.tls_key = "k.pem"`, `F:1: broker.tls_key = "k.pem": TLS needs broker.tls_cert and broker.tls_key: set the other one, too`},
		{"broker heartbeat", `broker.heartbeat = "1500ms"`, `F:1: broker.heartbeat = 1.5s: AMQP counts heartbeats in whole seconds: round it`},
		{"no vhosts", `broker.vhosts = []`, `F:1: broker.vhosts: a broker has at least one virtual host: write ["/"]`},
		{"vhost twice", `broker.vhosts = ["a", "a"]`, `F:1: broker.vhosts = "a": listed twice: remove one`},
		{"no hash", `broker.users.ann = {}`, "F:1: broker.users.ann: has no hash: `zamqp broker hash` makes one from a password"},
		{"password for hash", `broker.users.ann = "hunter2"`, "F:1: broker.users.ann.hash = \"***\": not a bcrypt hash: `zamqp broker hash` makes one from a password"},
		{"empty hash", `broker.users.ann = ""`, "F:1: broker.users.ann: has no hash: `zamqp broker hash` makes one from a password"},
		{"number for hash", `broker.users.ann.hash = 5`, `F:1: broker.users.ann.hash = "***": want a string`},
		{"unset variable", `broker.users.ann = "${ZAMQP_NOT_SET}"`, `F:1: broker.users.ann.hash = "***": environment variable ZAMQP_NOT_SET is not set: set it, or write ${ZAMQP_NOT_SET:-default}`},
		{"user key", `broker.users.ann.tag = []`, "F:1: broker.users.ann: has no hash: `zamqp broker hash` makes one from a password\nF:1: broker.users.ann.tag: unknown key; did you mean broker.users.ann.tags?"},
		{"permissions", `broker.users.guest.permissions.shop = { configure = "(" }`, "F:1: broker.users.guest.permissions.shop: there is no virtual host of this name: add it to broker.vhosts, which has /\n" +
			"F:1: broker.users.guest.permissions.shop.configure = \"(\": not a regular expression: missing closing ): `(`"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, test.file)
			_, err := config.Load(config.Sources{File: file}, registry())
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), file, "F"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
