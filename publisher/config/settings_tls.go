package config

import (
	"crypto/tls"

	"zamqp/publisher/certificate"
)

// HTTPTLS is [http.tls]: listeners for HTTPS.
type HTTPTLS struct {
	Listen []string `key:"listen"` // "host:port"; empty = no HTTPS
	// CertFile and KeyFile are PEM files: the first certificate with the first key, and so on.
	CertFile []string `key:"cert_file"`
	KeyFile  []string `key:"key_file"`
	// ClientCAFile has the authorities that sign clients' certificates; "" = clients need
	// none.
	ClientCAFile string `key:"client_ca_file"`
	ClientAuth   string `key:"client_auth" oneof:"require optional"`
	MinVersion   string `key:"min_version" oneof:"1.2 1.3"`
	// Redirect makes http.listen answer with redirects to https.
	Redirect bool `key:"redirect"`
	// RedirectPort is the port in the redirects; 0 = that of the first address of Listen.
	RedirectPort int    `key:"redirect_port" min:"0" max:"65535"`
	HSTS         string `key:"hsts"` // the Strict-Transport-Security field; "" = none
}

func defaultHTTPTLS() HTTPTLS { return HTTPTLS{ClientAuth: "require", MinVersion: "1.2"} }

// Certificates are the options of the listeners' certificates.
func (t *HTTPTLS) Certificates() certificate.Options {
	o := certificate.Options{ClientCA: t.ClientCAFile, Optional: t.ClientAuth == "optional", MinVersion: tls.VersionTLS12, Protocols: []string{"http/1.1"}}
	if t.MinVersion == "1.3" {
		o.MinVersion = tls.VersionTLS13
	}
	for i := range min(len(t.CertFile), len(t.KeyFile)) {
		o.Pairs = append(o.Pairs, certificate.Pair{Cert: t.CertFile[i], Key: t.KeyFile[i]})
	}
	return o
}

// Certificates are the options of the listeners' certificates.
func (b *Broker) Certificates() certificate.Options {
	return certificate.Options{Pairs: []certificate.Pair{{Cert: b.TLSCert, Key: b.TLSKey}}, MinVersion: tls.VersionTLS12}
}
