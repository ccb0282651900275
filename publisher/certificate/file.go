package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Pair names the PEM files of a certificate, followed by those of its chain, and of its
// private key.
type Pair struct {
	Cert, Key string
}

// fileMax is far above the size of any chain of certificates. A larger file is the wrong
// file, and a device may never end.
const fileMax = 1 << 20

// Load reads a certificate and its key. An error names the file and says what to do. An
// expired certificate is no error: see Expired.
func Load(p Pair) (*tls.Certificate, error) {
	chain, err := readPEM(p.Cert)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(chain, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil, holdsNoCertificate(p.Cert)
	}
	key, err := readPEM(p.Key)
	switch {
	case err != nil:
		return nil, err
	case bytes.Contains(key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) || bytes.Contains(key, []byte("Proc-Type: 4,ENCRYPTED")):
		return nil, fmt.Errorf("%s: the key is encrypted: decrypt it, for example with openssl pkey -in KEY -out NEW, and let only this user read the new file", p.Key)
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("%s: holds no private key: it has to be PEM, with a line -----BEGIN PRIVATE KEY-----", p.Key)
	}
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, explain(p, err)
	}
	return &c, nil
}

func holdsNoCertificate(file string) error {
	return fmt.Errorf("%s: holds no certificate: it has to be PEM, with a line -----BEGIN CERTIFICATE-----", file)
}

// explain says which file is wrong. crypto/tls has no types for these errors.
func explain(p Pair, err error) error {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case strings.Contains(text, "does not match"):
		return fmt.Errorf("%s: the key in %s is that of another certificate: name the key that the certificate was made for", p.Cert, p.Key)
	case strings.Contains(text, "private key"):
		return fmt.Errorf("%s: %s: write the key again, for example with openssl pkey", p.Key, text)
	}
	return fmt.Errorf("%s: %s: write the file again", p.Cert, strings.TrimPrefix(text, "x509: "))
}

// LoadPool reads the certificates of authorities from a file.
func LoadPool(file string) (*x509.CertPool, error) {
	text, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, holdsNoCertificate(file)
	}
	return pool, nil
}

func readPEM(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, remedy(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	switch {
	case err != nil:
		return nil, remedy(err)
	case len(text) > fileMax:
		return nil, fmt.Errorf("%s: is larger than 1 MiB: name a file with certificates or keys in PEM", file)
	}
	return text, nil
}

// remedy adds to an error of package os what to do. The error already names the file.
func remedy(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: put it there, or name another path", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: let the user that runs zamqp read it", err)
	}
	return err
}

// Expired returns why a certificate cannot be used now; "" if it can.
func Expired(c *tls.Certificate, now time.Time) string {
	switch leaf := c.Leaf; {
	case leaf == nil:
	case now.After(leaf.NotAfter):
		return "has expired on " + leaf.NotAfter.UTC().Format(time.DateTime) + " UTC: renew it; clients refuse it"
	case now.Before(leaf.NotBefore):
		return "is not valid before " + leaf.NotBefore.UTC().Format(time.DateTime) + " UTC: wait, or set the clock of this machine; clients refuse it"
	}
	return ""
}

// Names returns what a certificate is for: host names and addresses, or the subject if it has
// neither.
func Names(c *tls.Certificate) []string {
	leaf := c.Leaf
	if leaf == nil {
		return nil
	}
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, leaf.Subject.String())
	}
	return names
}
