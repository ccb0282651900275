package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/config"
)

func TestURLs(t *testing.T) {
	two := []config.Node{{Host: "a", Port: 5672}, {Host: "b", Port: 5671, TLS: true}}
	for _, row := range []struct {
		name, text string
		options    []string
		nodes      []config.Node
		user       string
	}{
		{"one", `connection.default.url = "amqp://u:p@a/v"`, nil, two[:1], "u p v"},
		{"a list", `connection.default.url = ["amqp://u:p@a/v", "amqps://u:p@b/v"]`, nil, two, "u p v"},
		{"a list as an option", "", []string{"connection.default.url=amqp://u:p@a/v, amqps://u:p@b/v"}, two, "u p v"},
		{"a comma in a password", "", []string{"connection.default.url=amqp://u:p,q@a/v,amqps://u:p,q@b/v"}, two, "u p,q v"},
		{"no password is none", `connection.default.url = "amqp://u@a"`, nil, two[:1], "u  /"},
		{"nobody is guest", `connection.default.url = "amqp://a"`, nil, two[:1], "guest guest /"},
	} {
		s, err := load(t, row.text, nil, row.options)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		c := s.Connections["default"]
		if got := strings.Join([]string{c.URI.Username, c.URI.Password, c.URI.Vhost}, " "); !reflect.DeepEqual(c.Nodes, row.nodes) || got != row.user {
			t.Errorf("%s: %+v %q", row.name, c.Nodes, got)
		}
	}
}

// TestURLQuery: RabbitMQ's URI query parameters are the keys of the connection.
func TestURLQuery(t *testing.T) {
	s := mustLoad(t, `connection.default.url = "amqps://h/?heartbeat=7&connection_timeout=1500&channel_max=9&verify=verify_none&server_name_indication=other&auth_mechanism=amqplain"`, nil, nil)
	c := s.Connections["default"]
	if c.Heartbeat != 7*time.Second || c.HandshakeTimeout != 1500*time.Millisecond || c.ChannelMax != 9 || c.Verify || c.ServerName != "other" || c.Mechanism != "AMQPLAIN" {
		t.Errorf("%+v", c)
	}
}

func TestConnectionProblems(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, secret := file("empty", "\n"), file("secret", "s3cret\n")
	for _, row := range []struct{ text, want string }{
		{`url = []`, "names no broker"},
		{`url = ["amqp://a", "amqp://a"]`, "listed twice"},
		{`url = ["amqp://a/v", "amqp://b/w"]`, "nodes of one cluster"},
		{`url = ["amqp://a?heartbeat=5", "amqp://b"]`, "nodes of one cluster"},
		{`url = ["amqp://a", "embedded"]`, "name it alone"},
		{`url = "amqp://a?heartbeets=5"`, "?heartbeets=: unknown; did you mean heartbeat?"},
		{`url = "amqp://a?heartbeat=many"`, "a number from 0 to 65535"},
		{`url = "amqp://a?heartbeat=5&heartbeat=6"`, "there twice"},
		{"url = \"amqp://a?heartbeat=5\"\nheartbeat = \"6s\"", "connection.default.heartbeat is set, too"},
		{`url = "amqps://a?verify=maybe"`, "verify_peer or verify_none"},
		{`url = "amqp://u:p#q@a"`, "%XX for / #"},
		{`url = "amqp://u:p@a/v#w"`, "%23"},
		{`order = "random"`, "there are shuffled, listed"},
		{`ca_file = "x"`, "let the url begin with amqps://"},
		{"url = \"amqps://a\"\nca_file = \"" + dir + "/none\"", "no such file"},
		{"url = \"amqps://a\"\nca_file = \"" + empty + "\"", "holds no certificate"},
		{"url = \"amqps://a\"\ncert_file = \"x\"", "set connection.default.key_file"},
		{"url = \"amqps://a\"\nkey_file = \"x\"", "set connection.default.cert_file"},
		{"url = \"amqps://a\"\nmechanism = \"EXTERNAL\"", "set connection.default.cert_file"},
		{"url = \"amqps://a?auth_mechanism=external\"", "set connection.default.cert_file"},
		{"url = \"amqp://u:p@a\"\npassword_file = \"" + secret + "\"", "remove one"},
		{"url = \"amqp://u@a\"\npassword_file = \"" + empty + "\"", "has 0 octets"},
		{"url = \"amqp://u@a\"\npassword_file = \"" + dir + "/none\"", "no such file"},
		{"url = \"embedded\"\npassword_file = \"" + secret + "\"", "has no password"},
		{"tx_select = true\nconfirms = false", "remove connection.default.confirms"},
	} {
		_, err := load(t, "[connection.default]\n"+row.text, nil, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s:\n got %v\nwant %s", row.text, err, row.want)
		}
	}
	s := mustLoad(t, "[connection.default]\nurl = \"amqp://u@a\"\npassword_file = \""+secret+"\"", nil, nil)
	if got := s.Connections["default"].URI.Password; got != "s3cret" {
		t.Errorf("password %q", got)
	}
}
