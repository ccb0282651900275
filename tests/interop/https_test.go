package interop_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

// TestHTTPSOfTheBinary: certificates by name, certificates of clients, redirects, and new
// files under load, with the program as it is built.
func TestHTTPSOfTheBinary(t *testing.T) {
	first, second, authority := selfsigned.For(t, "a.example"), selfsigned.For(t, "b.example"), selfsigned.For(t, "authority")
	alice := authority.Sign(t, "alice")
	at := process.FreeAddress(t)
	s := start(t, "embedded", "broker.listen=", "http.tls.listen="+at, "http.tls.cert_file="+first.Cert+","+second.Cert,
		"http.tls.key_file="+first.Key+","+second.Key, "http.tls.client_ca_file="+authority.Cert, "http.tls.redirect=true", "http.tls.hsts=max-age=60")
	client := func(own selfsigned.Certificate, name string, from ...tls.Certificate) *http.Client {
		return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Pool, ServerName: name, Certificates: from}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	hello := func(c *http.Client) (*http.Response, error) {
		resp, err := c.Get("https://" + at + "/hello")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return resp, err
	}
	for name, own := range map[string]selfsigned.Certificate{"a.example": first, "b.example": second} {
		resp, err := hello(client(own, name, alice.TLS))
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") != "max-age=60" {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	if _, err := hello(client(first, "a.example")); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	resp, err := client(first, "").Get(s.url + "/hello?x=y")
	if err != nil || resp.StatusCode != 308 || resp.Header.Get("Location") != "https://"+at+"/hello?x=y" {
		t.Errorf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()

	next := authority.Sign(t, "a.example", "new.example")
	pool := first.Pool.Clone()
	pool.AppendCertsFromPEM(authority.PEM(t))
	both := selfsigned.Certificate{Pool: pool}
	ctx, stop := context.WithCancel(t.Context())
	var served, fresh atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			c := client(both, "a.example", alice.TLS)
			for ctx.Err() == nil {
				resp, err := hello(c)
				if err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
				if len(resp.TLS.PeerCertificates[0].DNSNames) == 2 {
					fresh.Add(1)
				}
				c.CloseIdleConnections()
			}
		})
	}
	wait.Until(t, "the old one is served", func() bool { return served.Load() > 10 || t.Failed() })
	first.Replace(t, next)
	wait.Until(t, "the new one is served", func() bool { return fresh.Load() > 10 || t.Failed() })
	stop()
	all.Wait()
	s.stop()
}
