package interop_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// secret is every password of this test. No output may have it, nor a form of it.
const secret = "Hush-8c1f-zq"

// tells returns the form in which a text gives the secret away; "" if it does not.
func tells(text string) string {
	for _, form := range []string{secret, "Hush%2D8c1f%2Dzq", base64.StdEncoding.EncodeToString([]byte(secret)),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("guest:"+secret)), "="), "Hush-8c1f", "8c1f-zq"} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

// runSecret runs the program with these arguments, a configuration file and an environment, and
// fails if its output has the secret. A server that runs on is stopped.
func runSecret(t *testing.T, file string, environ []string, args ...string) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if args[0] == "serve" {
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	cmd.Dir = t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(cmd.Dir, "config.toml"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Env = process.Environment(append([]string{"ZAMQP_HTTP__LISTEN=127.0.0.1:0", "ZAMQP_LOG__LEVEL=trace"}, environ...)...)
	out, _ := cmd.CombinedOutput()
	if form := tells(string(out)); form != "" {
		t.Errorf("zamqp %q with %q prints %q:\n%s", args, environ, form, out)
	}
	return string(out)
}

// TestNoSecretIsPrinted: whatever is wrong, no command prints a password.
func TestNoSecretIsPrinted(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"+secret+"\n-----END ENCRYPTED PRIVATE KEY-----\n")
	urls := []string{
		"amqp://guest:" + secret + "@127.0.0.1:1/", "amqps://guest:" + secret + "@127.0.0.1:1/", "amqp://guest:" + secret + "@127.0.0.1:port/",
		"amqp://guest:" + secret + "%zz@127.0.0.1/", "http://guest:" + secret + "@127.0.0.1/", "guest:" + secret + "@127.0.0.1", "amqp://guest:" + secret,
		" amqp://guest:" + secret + "@127.0.0.1/", "amqp://guest:" + secret + "@127.0.0.1/%2", "amqp://guest:" + secret + "@/x?heartbeat=y", "amqp:/guest:" + secret + "@h",
	}
	commands := [][]string{{"check"}, {"check", "--broker"}, {"routes"}, {"serve"}, {"health"},
		{"publish", "-q", "q", "x", "--timeout", "1s"}, {"call", "--queue", "q", "x", "--timeout", "1s"}, {"dead", "list", "q", "--timeout", "1s"}, {"tap", "--timeout", "1s", "amq.topic"}}
	for _, url := range urls {
		for i, command := range commands {
			if i > 0 && url != urls[0] && command[0] != "publish" { // a bad URL ends all of them in the same way
				continue
			}
			runSecret(t, "", []string{"ZAMQP_CONNECTION__DEFAULT__URL=" + url}, command...)
			runSecret(t, "[connection.default]\nurl = \""+url+"\"\n", nil, command...)
			runSecret(t, "", nil, append(command, "-o", "connection.default.url="+url)...)
			if command[0] == "publish" {
				runSecret(t, "", nil, append(command, "--url", url)...)
			}
		}
	}
	for name, text := range map[string]string{
		"not TOML":         "[connection.default]\nurl = \"amqp://guest:" + secret + "@h/\nx",
		"an unknown key":   "[connection.default]\npasword = \"" + secret + "\"\n",
		"a wrong type":     "[connection.default]\nurl = [\"amqp://guest:" + secret + "@h/\", 7]\n",
		"a user":           "[broker.users]\nann = \"" + secret + "\"\n",
		"an encrypted key": "[http.tls]\nlisten = [\"127.0.0.1:0\"]\ncert_file = \"" + key + "\"\nkey_file = \"" + key + "\"\n",
		"a site's URL":     "[site]\nbase_url = \"https://guest:" + secret + "@h/?x\"\n",
		"two passwords":    "[connection.default]\nurl = \"amqp://guest:" + secret + "@127.0.0.1:1/\"\npassword_file = \"" + file("password", secret) + "\"\n",
		"a password file":  "[connection.default]\nurl = \"amqp://guest@127.0.0.1:1/\"\npassword_file = \"" + file("good", secret+"\n") + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range [][]string{{"check"}, {"serve"}} {
				runSecret(t, text, nil, command...)
			}
		})
	}
}

// TestNoSecretIsServed: a server whose login is refused, and whose clients send passwords, has
// them neither in its log nor on its pages.
func TestNoSecretIsServed(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(rabbitmq.Start(t), "guest:guest@", "guest:"+secret+"@", 1)
	s := launch(t, path, process.FreeAddress(t), url, "log.format=json", "log.level=trace", "access_log.enabled=true", "connection.default.backoff_min=10ms", "connection.default.backoff_max=100ms", "connection.default.confirm_timeout=1s")
	s.waitStatus("/livez", 200)
	wait.Until(t, "the login is refused", func() bool { return strings.Contains(s.log.String(), "ACCESS_REFUSED") })
	pages := ""
	for _, target := range []string{"POST /orders", "GET /nowhere", "GET /metrics", "GET /readyz", "GET /readyz?verbose", "GET /startupz", "POST /livez"} {
		method, at, _ := strings.Cut(target, " ")
		req, err := http.NewRequest(method, s.url+at, strings.NewReader(`{"item":"book"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("guest", secret)
		req.Header.Set("Cookie", "session="+secret)
		req.Header.Set("Proxy-Authorization", "Bearer "+secret)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		pages += string(page)
	}
	s.stop()
	for what, text := range map[string]string{"the log": s.log.String(), "a page": pages} {
		if form := tells(text); form != "" {
			i := strings.Index(text, form)
			t.Errorf("%s has %q: …%s…", what, form, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}
