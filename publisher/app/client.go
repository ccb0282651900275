package app

import (
	"crypto/x509"
	"fmt"
	"os"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// clientOptions returns the options of r.Client.
func clientOptions(c *config.Client) (publisher.ClientOptions, error) {
	options := publisher.ClientOptions{
		HostMax: c.HostMax, RequestsMax: c.RequestsMax, Queue: c.Queue, ConnectTimeout: c.ConnectTimeout, IdleTimeout: c.IdleTimeout,
	}
	if c.TLSCA == "" {
		return options, nil
	}
	text, err := os.ReadFile(c.TLSCA)
	if err != nil {
		return options, fmt.Errorf("client.tls_ca: %w", err)
	}
	if options.RootCAs, err = x509.SystemCertPool(); err != nil {
		options.RootCAs = x509.NewCertPool()
	}
	if !options.RootCAs.AppendCertsFromPEM(text) {
		return options, fmt.Errorf("client.tls_ca = %q: the file has no certificate in PEM", c.TLSCA)
	}
	return options, nil
}
