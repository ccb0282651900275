package config_test

import (
	"strings"
	"testing"

	"zamqp/publisher/config"
	"zamqp/tests/kit/selfsigned"
)

// TestHTTPTLSProblems: mistakes in [http.tls] show before the server starts.
func TestHTTPTLSProblems(t *testing.T) {
	own, other := selfsigned.New(t), selfsigned.New(t)
	files := []string{"http.tls.listen=:1", "http.tls.cert_file=" + own.Cert, "http.tls.key_file=" + own.Key}
	for _, row := range []struct {
		name    string
		options []string
		want    string
	}{
		{"no certificate", []string{"http.tls.listen=:1"}, `http.tls.listen = ":1": TLS needs a certificate: set http.tls.cert_file and http.tls.key_file`},
		{"a unix socket", append(files, "http.tls.listen=unix:/x"), `write it in http.listen`},
		{"no address", append(files, "http.tls.listen=8443"), `not an address: write "host:port" or ":8443"`},
		{"twice", append(files, "http.tls.listen=:1,:1"), "listed twice: remove one"},
		{"no key", append(files, "http.tls.key_file="), "each certificate has a key: http.tls.key_file names 0, for 1 certificates"},
		{"two for one", append(files, "http.tls.cert_file="+own.Cert+","+other.Cert), "http.tls.key_file names 1, for 2 certificates"},
		{"another's key", append(files, "http.tls.key_file="+other.Key), "is that of another certificate"},
		{"the wrong order", append(files, "http.tls.cert_file="+own.Cert+","+other.Cert, "http.tls.key_file="+other.Key+","+own.Key), "is that of another certificate"},
		{"no file", append(files, "http.tls.cert_file=/nowhere/x.pem"), "/nowhere/x.pem: no such file or directory: put it there"},
		{"no authorities", append(files, "http.tls.client_ca_file="+own.Key), "holds no certificate"},
		{"no such way", append(files, "http.tls.client_auth=maybe"), "http.tls.client_auth"},
		{"an old version", append(files, "http.tls.min_version=1.1"), "http.tls.min_version"},
		{"nothing to redirect to", []string{"http.tls.redirect=true"}, "there is nothing to redirect to: set http.tls.listen"},
		{"a port of no use", append(files, "http.tls.redirect_port=443"), "nothing is redirected: set http.tls.redirect = true"},
		{"not HSTS", append(files, "http.tls.hsts=1 year"), `write "max-age=31536000"`},
		{"a field in HSTS", append(files, "http.tls.hsts=max-age=1\r\nX: y"), `write "max-age=31536000"`},
		{"broker", []string{"broker.tls_cert=" + own.Cert, "broker.tls_key=" + other.Key}, "is that of another certificate"},
	} {
		s, err := config.Load(config.Sources{Options: row.options}, registry())
		if err == nil {
			err = s.CheckCertificates(true)
		}
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	s, err := config.Load(config.Sources{Options: append(files, "http.tls.redirect=true", "http.tls.hsts=max-age=31536000; includeSubDomains; preload")}, registry())
	if err != nil || s.HTTP.TLS.PublicPort() != 1 {
		t.Errorf("%v", err)
	}
	s, err = config.Load(config.Sources{Options: append(files, "http.tls.redirect=true", "http.tls.redirect_port=443")}, registry())
	if err != nil || s.HTTP.TLS.PublicPort() != 443 {
		t.Errorf("%v", err)
	}
}
