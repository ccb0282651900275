package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"zamqp/publisher/config"
)

// tlsRefusal is the error of a handshake in which one side refused the other's certificate
// or version. It is not used for a handshake without an answer.
type tlsRefusal struct{ error }

func (e *tlsRefusal) Unwrap() error { return e.error }

// dialTLS dials and makes the handshake. It does not run on the loop's thread. timeout
// bounds each of the two steps.
func dialTLS(c *config.Connection, name string, node config.Node, address string, timeout time.Duration) (net.Conn, error) {
	config, key, err := c.TLSConfig()
	if err != nil {
		return nil, fmt.Errorf("connection.%s.%s: %w", name, key, err)
	}
	if config.ServerName == "" {
		config.ServerName = node.Host
	}
	x := &tlsExplainer{connection: name, host: config.ServerName, certificate: c.CertFile != "", ca: c.CAFile != ""}
	tcp, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	nc := tls.Client(tcp, config)
	if err := nc.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("tls to %s: %w: is this the broker's TLS port (5671 as a rule)? If it is to be without TLS, write amqp://", address, err)
		}
		return nil, &tlsRefusal{fmt.Errorf("tls to %s: %w", address, x.explain(err))}
	}
	return &brokerStream{Conn: nc, explainer: x}, nil
}

// brokerStream explains the errors of a TLS connection. With TLS 1.3, our side of the
// handshake ends before the broker has checked our certificate: if the broker refuses it,
// the first read fails.
type brokerStream struct {
	*tls.Conn
	explainer *tlsExplainer
	mu        sync.Mutex
	refusal   error // the broker's refusal, as a read has explained it
}

func (s *brokerStream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err != nil {
		if explained := s.explainer.explain(err); explained != err {
			err = fmt.Errorf("tls: %w", explained)
			s.mu.Lock()
			s.refusal = err
			s.mu.Unlock()
		}
	}
	return n, err
}

// Write fails with the broker's refusal if there is one, rather than with a broken pipe.
func (s *brokerStream) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Second)) // the refusal is here by now, or will never come
	for range 20 {
		s.mu.Lock()
		refusal := s.refusal
		s.mu.Unlock()
		if refusal != nil {
			return n, refusal
		}
		time.Sleep(5 * time.Millisecond)
	}
	return n, err
}

// tlsExplainer adds a remedy to an error of TLS.
type tlsExplainer struct {
	connection  string
	host        string // the name that the certificate must have
	certificate bool   // we send a certificate
	ca          bool   // a ca_file is set
}

// explain adds the remedy to err. It returns err itself if it knows no remedy.
func (x *tlsExplainer) explain(err error) error {
	if remedy := x.remedy(err); remedy != "" {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	return err
}

func (x *tlsExplainer) remedy(err error) string {
	key := "connection." + x.connection
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		if x.ca {
			return fmt.Sprintf("the broker's certificate was not signed by the authority in %s.ca_file: put the certificate of the one that signed it there", key)
		}
		return fmt.Sprintf("set %s.ca_file to the certificate of the authority that signed the broker's", key)
	case errors.As(err, &name):
		return fmt.Sprintf("connect by a name that is in the certificate, or set %s.server_name to one", key)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the broker's certificate; if it is good, set the clock of this machine"
	case errors.As(err, &header):
		return "this port speaks no TLS: use the broker's TLS port (5671 as a rule), or amqp://"
	case errors.As(err, &invalid):
		return "the broker's certificate is not valid for this use: get a new one"
	}
	return x.alert(err.Error(), key)
}

// alert returns the remedy for an alert of the broker. crypto/tls has no types for alerts.
func (x *tlsExplainer) alert(text, key string) string {
	if !strings.Contains(text, "remote error") {
		return ""
	}
	switch {
	case !x.certificate && (strings.Contains(text, "certificate required") || strings.Contains(text, "bad certificate") ||
		strings.Contains(text, "handshake failure")):
		return fmt.Sprintf("the broker wants a certificate from us: set %s.cert_file and key_file", key)
	case strings.Contains(text, "unknown certificate authority"), strings.Contains(text, "bad certificate"):
		return fmt.Sprintf("the broker does not know who signed %s.cert_file: give that authority to the broker, or use another certificate", key)
	case strings.Contains(text, "expired certificate"):
		return fmt.Sprintf("renew %s.cert_file", key)
	case strings.Contains(text, "protocol version"):
		return "the broker has to speak TLS 1.2 or later"
	case strings.Contains(text, "unrecognized name"):
		return fmt.Sprintf("the broker has no certificate for %q: set %s.server_name", x.host, key)
	}
	return ""
}
