// Package selfsigned makes certificates for tests of TLS.
package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a certificate for some names and 127.0.0.1. Unless it was made by Sign, it
// is its own authority.
type Certificate struct {
	TLS  tls.Certificate
	Pool *x509.CertPool // trusts its authority
	Cert string         // the file of it, in PEM
	Key  string         // the file of its private key, in PEM
}

// New makes a certificate for localhost that is valid for an hour. Its files are gone when
// t ends.
func New(t testing.TB) Certificate { return For(t, "localhost") }

// For is New with other names.
func For(t testing.TB, names ...string) Certificate {
	return create(t, nil, time.Now().Add(time.Hour), names)
}

// Until is New with the time of its expiry.
func Until(t testing.TB, end time.Time, names ...string) Certificate {
	return create(t, nil, end, names)
}

// Sign makes a certificate that c vouches for.
func (c Certificate) Sign(t testing.TB, names ...string) Certificate {
	return create(t, &c, time.Now().Add(time.Hour), names)
}

func create(t testing.TB, authority *Certificate, end time.Time, names []string) Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: authority == nil, BasicConstraintsValid: true}
	parent, signer, root := template, any(private), (*x509.Certificate)(nil)
	if authority != nil {
		if parent, err = x509.ParseCertificate(authority.TLS.Certificate[0]); err != nil {
			t.Fatal(err)
		}
		signer, root = authority.TLS.PrivateKey, parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if root == nil {
		if root, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	c := Certificate{TLS: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, Pool: x509.NewCertPool()}
	c.Pool.AddCert(root)
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

// Replace puts the files of another certificate in the place of c's, as a program that
// renews certificates does: each file is replaced at once.
func (c Certificate) Replace(t testing.TB, by Certificate) {
	t.Helper()
	for _, move := range [][2]string{{by.Cert, c.Cert}, {by.Key, c.Key}} {
		text, err := os.ReadFile(move[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(move[1]+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(move[1]+".new", move[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// PEM is the text of the certificate's file.
func (c Certificate) PEM(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(c.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
