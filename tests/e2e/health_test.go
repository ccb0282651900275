package e2e_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

// runHealth runs the command health and returns its exit code and everything that it printed.
func runHealth(args ...string) (code int, text string) {
	var out bytes.Buffer
	c := &command.CLI{Registry: publisher.Default, Stdout: &out, Stderr: &out}
	return c.Run(context.Background(), append([]string{"health"}, args...)), out.String()
}

// The command health asks a server by the address in its configuration, by TCP, by a
// unix socket and over TLS, and its exit code is the answer.
func TestHealthCommand(t *testing.T) {
	t.Chdir(t.TempDir()) // no config.toml
	ready := start(t, embedded)
	address := strings.TrimPrefix(ready.url, "http://")
	_, port, _ := strings.Cut(address, ":")
	socket := filepath.Join(t.TempDir(), "s")
	startUnready(t, "amqp://127.0.0.1:1/", "http.listen=unix:"+socket)
	wait.Until(t, "the server answers on its socket", func() bool {
		code, _ := runHealth("--live", "-o", "http.listen=unix:"+socket)
		return code == 0
	})
	own := selfsigned.New(t)
	_, secure := startTLS(t, own)
	for _, row := range []struct {
		args string
		code int
		text string // part of it
	}{
		{"-o http.listen=" + address, 0, "ready\n"},
		{"-o http.listen=:" + port, 0, "ready\n"},
		{"--live -o http.listen=" + address, 0, "ok\n"},
		{"--startup -o http.listen=" + address, 0, "started\n"},
		{"--startup -o http.listen=unix:" + socket, 1, "GET /startupz: not ready\n  connection default: "},
		{"--startup --live -o http.listen=" + address, 2, "startup"},
		{"--url " + ready.url, 0, "ready\n"},
		{"--url " + ready.url + "/", 0, "ready\n"},
		{"--url " + ready.url + "/elsewhere", 1, "404: the handlers of that server do not answer it"},
		{"-o http.listen=unix:" + socket, 1, "GET /readyz: not ready\n  connection default: "},
		{"--live -o http.listen=unix:" + socket, 0, "ok\n"},
		{"-o http.listen= -o http.tls.cert_file=" + own.Cert + " -o http.tls.key_file=" + own.Key + " -o http.tls.listen=" + secure, 0, "ready\n"},
		{"-o http.listen=127.0.0.1:1", 1, "connection refused"},
		{"-o http.listen=", 1, "this server has no HTTP to ask"},
		{"--timeout 1ns -o http.listen=" + address, 1, "no answer within 1ns"},
		{"--url " + address, 2, "write http://host:port"},
		{"extra", 2, "unknown command"},
	} {
		if code, text := runHealth(strings.Fields(row.args)...); code != row.code || !strings.Contains(text, row.text) {
			t.Errorf("zamqp health %s: exit code %d, %q; want %d, %q", row.args, code, text, row.code, row.text)
		}
	}
}

// TestStartup: a server has started when it has been ready once, and stays so while its broker is
// away. ?verbose has a line for each part, unless the client asks for JSON.
func TestStartup(t *testing.T) {
	node := rabbitmq.New(t)
	s := startUnready(t, node.URL)
	wait.Until(t, "it has started", func() bool {
		status, text := s.get("/startupz?verbose")
		return status == 200 && strings.HasSuffix(text, "\nstarted\n")
	})
	status, text := s.get("/readyz?verbose")
	for _, line := range []string{"[+]connection default: connected\n", "[+]consumer e2e-work: up\n", "\nready\n"} {
		if status != 200 || !strings.Contains(text, line) {
			t.Errorf("%d, without %q:\n%s", status, line, text)
		}
	}
	node.Stop(t)
	wait.Until(t, "it is not ready", func() bool {
		status, text := s.get("/readyz?verbose")
		return status == 503 && strings.Contains(text, "[-]connection default: ") && strings.HasSuffix(text, "\nnot ready\n")
	})
	for path, want := range map[string]int{"/livez": 200, "/startupz": 200, "/startupz?verbose": 200, "/readyz": 503} {
		if status, text := s.get(path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, text, want)
		}
	}
	if _, text := s.do("GET", "/readyz?verbose", "application/json", ""); strings.HasPrefix(text, "{") {
		t.Errorf("the type of a body is no wish: %s", text)
	}
}
