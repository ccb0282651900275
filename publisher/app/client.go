package app

import (
	"crypto/x509"
	"fmt"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/certificate"
	"zamqp/publisher/config"
)

// clientOptions returns the options of r.Client, and the file of its authorities; nil without one.
func clientOptions(c *config.Client) (publisher.ClientOptions, *certificate.Store, error) {
	options := publisher.ClientOptions{
		HostMax: c.HostMax, RequestsMax: c.RequestsMax, Queue: c.Queue, ConnectTimeout: c.ConnectTimeout, IdleTimeout: c.IdleTimeout,
	}
	if c.TLSCA == "" {
		return options, nil, nil
	}
	store, err := certificate.Open(certificate.Options{ClientCA: c.TLSCA})
	if err != nil {
		return options, nil, fmt.Errorf("client.tls_ca: %w", err)
	}
	options.RootCAs = clientRoots(store)
	return options, store, nil
}

// clientRoots are the authorities of the system and those of the file.
func clientRoots(store *certificate.Store) *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(store.Authorities())
	return roots
}

// watchClientCA reads client.tls_ca again when it changes, until the loop ends. It is a goroutine,
// because a file system may be slow.
func (a *application) watchClientCA() {
	ended := make(chan struct{})
	a.loop.OnEnd(func() { close(ended) })
	go everyInterval(ended, func(time.Time) {
		switch changed, err := a.clientCA.Refresh(); {
		case err != nil:
			a.log.Error().Err(err).Msg("the changed client.tls_ca cannot be used: the old one stays")
		case changed:
			a.server.TrustInClient(clientRoots(a.clientCA))
			a.log.Info().Str("file", a.plan.Settings.Client.TLSCA).Msg("client.tls_ca was read again")
		}
	})
}
