package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"zamqp/publisher/certificate"
)

const tlsKey = "http.tls."

// httpTLS checks [http.tls], without reading its files.
func (c *checker) httpTLS() {
	t := &c.settings.HTTP.TLS
	t.Listen, t.CertFile, t.KeyFile = named(t.Listen), named(t.CertFile), named(t.KeyFile)
	for i, address := range t.Listen {
		switch {
		case strings.HasPrefix(address, "unix:"):
			c.fail(tlsKey+"listen", show(address), `nothing listens on the way of a unix socket: write it in http.listen, or "host:port" here`)
		case checkListen(address) != nil:
			c.fail(tlsKey+"listen", show(address), `not an address: write "host:port" or ":8443"; an IPv6 host in brackets`)
		case slices.Contains(t.Listen[:i], address):
			c.fail(tlsKey+"listen", show(address), "listed twice: remove one")
		}
	}
	c.httpTLSUnused(t)
	if t.HSTS != "" {
		c.hsts(t.HSTS)
	}
	if len(t.CertFile) != len(t.KeyFile) {
		c.fail(tlsKey+"cert_file", show(strings.Join(t.CertFile, ", ")),
			fmt.Sprintf("each certificate has a key: http.tls.key_file names %d, for %d certificates", len(t.KeyFile), len(t.CertFile)))
	}
}

// named returns the list without its empty items, or nil if nothing is left: "" in the
// configuration is no file.
func named(list []string) []string {
	if list = slices.DeleteFunc(list, func(text string) bool { return text == "" }); len(list) == 0 {
		return nil
	}
	return list
}

// httpTLSUnused reports keys that do nothing without a listener.
func (c *checker) httpTLSUnused(t *HTTPTLS) {
	switch {
	case len(t.Listen) > 0 && len(t.CertFile) == 0 && !c.unread[tlsKey+"cert_file"]:
		c.fail(tlsKey+"listen", show(strings.Join(t.Listen, ", ")), "TLS needs a certificate: set http.tls.cert_file and http.tls.key_file")
	case len(t.Listen) == 0 && t.Redirect:
		c.fail(tlsKey+"redirect", "true", "there is nothing to redirect to: set http.tls.listen")
	case t.RedirectPort != 0 && !t.Redirect:
		c.fail(tlsKey+"redirect_port", strconv.Itoa(t.RedirectPort), "nothing is redirected: set http.tls.redirect = true, or remove this")
	}
}

// hstsMax limits the field, because it is in every answer.
const hstsMax = 100

func (c *checker) hsts(value string) {
	age, rest, _ := strings.Cut(value, ";")
	seconds, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(age)), "max-age=")
	_, err := strconv.ParseUint(seconds, 10, 63)
	unprintable := strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r > '~' })
	if !found || err != nil || unprintable || len(value) > hstsMax {
		c.fail(tlsKey+"hsts", show(value), `not a Strict-Transport-Security field: write "max-age=31536000", or "max-age=31536000; includeSubDomains"`)
	}
}

// CheckCertificates reads the certificates of the listeners, so that a mistake shows before
// the server starts. broker says that the embedded broker listens, too. Commands that open no
// listener do not call it, because their user may not be allowed to read the keys. The error
// is a Problems.
func (s *Settings) CheckCertificates(broker bool) error {
	c := &checker{settings: s}
	t := &s.HTTP.TLS
	for _, p := range t.Certificates().Pairs {
		if _, err := certificate.Load(p); err != nil {
			c.fail(tlsKey+"cert_file", show(p.Cert), err.Error())
		}
	}
	if t.ClientCAFile != "" {
		if _, err := certificate.LoadPool(t.ClientCAFile); err != nil {
			c.fail(tlsKey+"client_ca_file", show(t.ClientCAFile), err.Error())
		}
	}
	if b := &s.Broker; broker && b.TLSCert != "" {
		if _, err := certificate.Load(b.Certificates().Pairs[0]); err != nil {
			c.fail("broker.tls_cert", show(b.TLSCert), err.Error())
		}
	}
	return c.problems.err()
}

// PublicPort returns the port that redirects name.
func (t *HTTPTLS) PublicPort() int {
	if t.RedirectPort != 0 || len(t.Listen) == 0 {
		return t.RedirectPort
	}
	_, port, _ := net.SplitHostPort(t.Listen[0])
	n, _ := strconv.Atoi(port) // checked by Load
	return n
}
