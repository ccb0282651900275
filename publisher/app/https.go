package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"syscall"

	"zamqp/loop"
)

// plainToTLS is the answer of net/http to a request without TLS.
const plainToTLS = "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

// listenTLS opens the listeners of http.tls.
func (a *application) listenTLS() error {
	t := &a.plan.Settings.HTTP.TLS
	if len(t.Listen) == 0 {
		return nil
	}
	d, err := newTLSDoor(a.loop, a.log, "http", t.Certificates(), func(c *loop.Conn, state *tls.ConnectionState) loop.Peer {
		if x := a.http.AcceptTLS(c, state); x != nil {
			return x
		}
		return nil // the interface must be nil, not hold a nil pointer
	})
	if err != nil {
		return fmt.Errorf("http.tls.cert_file: %w", err)
	}
	d.plain = plainToTLS
	a.secure = d
	a.server.AddMeter(d)
	for i, address := range t.Listen {
		addr, err := d.listen(address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return addressTaken("http.tls.listen", address, " by another program", append(a.opened(), listening{"http.tls.listen", t.Listen[:i]})...)
		case err != nil:
			return fmt.Errorf("http.tls.listen = %q: %w", address, err)
		}
		a.log.Info().Str("address", "https://"+addr.String()).Msg("serving https")
	}
	return nil
}
