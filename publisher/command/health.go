package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// healthCommand asks a running server whether it is ready.
type healthCommand struct {
	live    bool
	startup bool
	url     string
	timeout time.Duration
}

// healthMax is how many octets of an answer are read.
const healthMax = 1 << 20

func (c *CLI) healthCommand() *cobra.Command {
	var k healthCommand
	cmd := &cobra.Command{
		Use:   "health [--live | --startup] [--url URL]",
		Short: "Ask the running server whether it is ready",
		Long: `Ask a running server GET /readyz, with --live GET /livez, or with --startup GET /startupz, and print
what is not ready. The exit code is 0 when the answer is 200, else 1. Containers that have no curl
can use it as their health check.
The server is the one of this configuration: the first address of http.listen or, if
there is none, of http.tls.listen. A wildcard address is asked on the loopback address.
Over TLS the certificate is not checked, because it names the public host.`,
		Example: `  zamqp health
  zamqp health --live --timeout 1s
  zamqp health --url http://10.0.0.7:8080`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return k.run(c, cmd) },
	}
	cmd.Flags().BoolVar(&k.live, "live", false, "ask only whether the server's loop runs")
	cmd.Flags().BoolVar(&k.startup, "startup", false, "ask only whether the server has been ready once")
	cmd.MarkFlagsMutuallyExclusive("live", "startup")
	cmd.Flags().StringVar(&k.url, "url", "", "ask the server at this `URL`, not the one of the configuration")
	cmd.Flags().DurationVar(&k.timeout, "timeout", 5*time.Second, "give up after this time")
	return cmd
}

func (k *healthCommand) run(c *CLI, cmd *cobra.Command) error {
	base, transport := k.url, &http.Transport{}
	if base == "" {
		s, err := c.load()
		if err != nil {
			return err
		}
		if base, err = ownAddress(s, transport); err != nil {
			return failure{err}
		}
	} else if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--url %q: write http://host:port or https://host:port", base)
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	path := "/readyz"
	switch {
	case k.live:
		path = "/livez"
	case k.startup:
		path = "/startupz"
	}
	said, err := askHealth(ctx, transport, strings.TrimSuffix(base, "/")+path)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v (--timeout)", k.timeout)
		}
		return failure{fmt.Errorf("GET %s: %w", path, err)}
	}
	if _, err := fmt.Fprintln(c.Stdout, said); err != nil {
		return failure{err}
	}
	return nil
}

// ownAddress returns the URL of the server that the configuration describes, and
// prepares the transport for it.
func ownAddress(s *config.Settings, transport *http.Transport) (string, error) {
	address, scheme := "", "http"
	switch {
	case len(s.HTTP.Listen) > 0:
		address = s.HTTP.Listen[0]
	case len(s.HTTP.TLS.Listen) > 0:
		address, scheme = s.HTTP.TLS.Listen[0], "https"
		// The certificate is for the public name, and this is our own host.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	default:
		return "", errors.New("http.listen and http.tls.listen are empty: this server has no HTTP to ask; give --url")
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		return "http://localhost", nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	return scheme + "://" + net.JoinHostPort(config.DialableHost(host), port), nil
}

// askHealth returns what to print of the answer 200, or an error that says what another
// answer means.
func askHealth(ctx context.Context, transport *http.Transport, target string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its URL does not name a unix socket
		}
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, healthMax))
	if err != nil {
		return "", err
	}
	var report struct {
		Draining bool
		Parts    []publisher.Status
	}
	known := json.Unmarshal(body, &report) == nil
	switch {
	case resp.StatusCode == http.StatusOK && known && strings.HasSuffix(target, "/startupz"):
		return "started", nil
	case resp.StatusCode == http.StatusOK && known:
		return "ready", nil
	case resp.StatusCode == http.StatusOK:
		return strings.TrimSpace(string(body)), nil
	case resp.StatusCode == http.StatusNotFound:
		return "", errors.New("404: the handlers of that server do not answer it: import zamqp/handlers/health")
	case !known:
		return "", errors.New(resp.Status)
	}
	return "", notReady(report.Draining, report.Parts)
}

// notReady lists the parts that are not ready, one on a line.
func notReady(draining bool, parts []publisher.Status) error {
	parts = slices.DeleteFunc(parts, func(p publisher.Status) bool { return p.Ready })
	text := "not ready"
	if draining {
		text += ": the server drains"
	}
	for _, p := range parts {
		text += fmt.Sprintf("\n  %s %s: %s", p.Kind, p.Name, cmp.Or(p.Detail, p.State))
	}
	return errors.New(text)
}
