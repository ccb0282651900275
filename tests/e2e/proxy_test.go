package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Handle("GET /proxied", func(r *publisher.Request) error {
		r.SetHeader("Seen-Connection", r.RemoteAddr())
		return r.Text(200, r.URL("/x")+" "+r.ClientAddr().String())
	})
}

const shop = "shop.example.com"

// ofTheGuide returns the block of the page that begins with these words, with names of this
// machine in place of the page's.
func ofTheGuide(t *testing.T, begins string, names ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide/https.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(text), "\n```") {
		_, block, _ = strings.Cut(block, "\n") // the language
		if i%2 == 0 || !strings.HasPrefix(block, begins) {
			continue
		}
		block += "\n"
		for i := 0; i < len(names); i += 2 {
			if !strings.Contains(block, names[i]) {
				t.Fatalf("the page's block does not have %q:\n%s", names[i], block)
			}
			block = strings.ReplaceAll(block, names[i], names[i+1])
		}
		return block
	}
	t.Fatalf("docs/guide/https.md has no block that begins with %q", begins)
	return ""
}

// TestCaddyOfTheGuide and TestNginxOfTheGuide run what the guide says before the server.
func TestCaddyOfTheGuide(t *testing.T) {
	testProxy(t, "caddy", func(dir, socket, at string, own selfsigned.Certificate) []string {
		_, port, _ := net.SplitHostPort(at)
		site := ofTheGuide(t, shop, shop+" {", shop+":"+port+" {\n\tbind 127.0.0.1\n\ttls "+own.Cert+" "+own.Key, "unix//run/zamqp/http.sock", "unix/"+socket)
		write(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"+site)
		return []string{"run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile")}
	})
}

func TestNginxOfTheGuide(t *testing.T) {
	testProxy(t, "nginx", func(dir, socket, at string, own selfsigned.Certificate) []string {
		site := ofTheGuide(t, "upstream zamqp", "/run/zamqp/http.sock", socket, "listen 443", "listen "+at,
			"/etc/letsencrypt/live/"+shop+"/fullchain.pem", own.Cert, "/etc/letsencrypt/live/"+shop+"/privkey.pem", own.Key)
		user := ""
		if os.Getuid() == 0 {
			user = "user root;\n"
		}
		paths := ""
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			paths += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
		}
		write(t, filepath.Join(dir, "nginx.conf"), user+"daemon off;\npid "+filepath.Join(dir, "pid")+";\nevents {}\nhttp {\naccess_log off;\n"+paths+site+"}\n")
		return []string{"-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr", "-p", dir}
	})
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testProxy runs a proxy before the server, as browsers see the two.
func testProxy(t *testing.T, program string, arguments func(dir, socket, at string, own selfsigned.Certificate) []string) {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("needs " + program + ": apt-get install " + program)
	}
	dir, err := os.MkdirTemp("", "zamqp-proxy") // short: the name of a socket has at most 107 octets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, own := filepath.Join(dir, "http.sock"), selfsigned.For(t, shop)
	start(t, embedded, "http.listen=127.0.0.1:0,unix:"+socket, "http.trusted_proxies=unix")
	c, at := runProxy(t, path, dir, func(at string) []string { return arguments(dir, socket, at, own) }, own)
	for range 3 {
		req, _ := http.NewRequest("GET", "https://"+shop+portOf(at)+"/proxied", nil)
		for name, value := range map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"} {
			req.Header.Set(name, value)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		got := strings.Replace(string(text), portOf(at), "", 1) // nginx's $host has no port
		if err != nil || resp.StatusCode != 200 || got != "https://"+shop+"/x 127.0.0.1" || resp.ProtoMajor != 2 {
			t.Errorf("%s %d %q, %v", resp.Proto, resp.StatusCode, text, err)
		}
	}
	large := strings.Repeat("0123456789abcdef", 1<<15)
	resp, err := c.Post("https://"+shop+portOf(at)+"/tls/echo", "text/plain", strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != large {
		t.Errorf("an echo of %d octets: %d, %v", len(large), len(got), err)
	}
}

func portOf(at string) string { return at[strings.LastIndexByte(at, ':'):] }

// runProxy starts the proxy on a free port and returns a client that finds it by the name of the
// shop. It tries again if another program has taken the port meanwhile.
func runProxy(t *testing.T, path, dir string, arguments func(at string) []string, own selfsigned.Certificate) (c *http.Client, at string) {
	for try := 0; ; try++ {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at = ln.Addr().String()
		_ = ln.Close()
		output := &logs.Buffer{}
		cmd := exec.Command(path, arguments(at)...)
		cmd.Stdout, cmd.Stderr = output, output
		cmd.SysProcAttr = process.WithParent()
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		to := at
		c = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Pool}, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", to)
			}}}
		failed := error(nil)
		wait.Until(t, filepath.Base(path)+" serves", func() bool {
			select {
			case err := <-ended:
				failed = fmt.Errorf("it ended: %v\n%s", err, output.String())
				return true
			default:
			}
			resp, err := c.Get("https://" + shop + portOf(at) + "/livez")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == 200
		})
		if failed == nil {
			t.Cleanup(func() {
				c.CloseIdleConnections()
				_ = cmd.Process.Signal(syscall.SIGTERM)
				select {
				case <-ended:
				case <-time.After(patience):
					_ = cmd.Process.Kill()
				}
				if t.Failed() {
					t.Log(output.String())
				}
			})
			return c, at
		}
		if try == 2 || !strings.Contains(output.String(), "in use") {
			t.Fatal(failed)
		}
	}
}
