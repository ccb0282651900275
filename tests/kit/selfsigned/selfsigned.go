// Package selfsigned makes certificates for tests of TLS.
package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a certificate for localhost and 127.0.0.1, its own authority,
// that is valid for an hour.
type Certificate struct {
	TLS  tls.Certificate
	Pool *x509.CertPool // trusts it
	Cert string         // the file of it, in PEM
	Key  string         // the file of its private key, in PEM
}

// New makes a certificate. Its files are gone when t ends.
func New(t testing.TB) Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := Certificate{TLS: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, Pool: x509.NewCertPool()}
	c.Pool.AddCert(parsed)
	dir := t.TempDir()
	c.Cert = save(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
	c.Key = save(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", secret)
	return c
}

func save(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
