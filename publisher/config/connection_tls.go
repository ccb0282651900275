package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLSConfig reads the files of a connection with TLS. They are read at every connect,
// so that certificates can be renewed while the server runs. With an error, key is the
// setting that is wrong.
func (c *Connection) TLSConfig() (config *tls.Config, key string, err error) {
	config = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: !c.Verify}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, "ca_file", err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, "ca_file", fmt.Errorf("%s: holds no certificate: it has to be PEM, beginning with -----BEGIN CERTIFICATE-----", c.CAFile)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, "cert_file", fmt.Errorf("%s with key %s: %w", c.CertFile, c.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, "", nil
}
