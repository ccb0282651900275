package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/certificate"
	"zamqp/tests/kit/selfsigned"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLoadSaysWhatIsWrong: each error names the file and the remedy.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	good, other := selfsigned.New(t), selfsigned.New(t)
	cert := content(t, good.Cert)
	for _, row := range []struct{ name, cert, key, file, want string }{
		{"no file", "/nowhere/cert.pem", good.Key, "/nowhere/cert.pem", "put it there"},
		{"no key file", good.Cert, "/nowhere/key.pem", "/nowhere/key.pem", "put it there"},
		{"a directory", t.TempDir(), good.Key, "", "is a directory"},
		{"no certificate in it", good.Key, good.Key, good.Key, "holds no certificate"},
		{"no key in it", good.Cert, good.Cert, good.Cert, "holds no private key"},
		{"empty", write(t, ""), good.Key, "", "holds no certificate"},
		{"half", write(t, cert[:len(cert)/2]), good.Key, "", "write the file again"},
		{"another's key", good.Cert, other.Key, other.Key, "is that of another certificate"},
		{"encrypted", good.Cert, write(t, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"), "", "decrypt it"},
		{"endless", "/dev/zero", good.Key, "/dev/zero", "larger than 1 MiB"},
	} {
		_, err := certificate.Load(certificate.Pair{Cert: row.cert, Key: row.key})
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), row.file) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	c, err := certificate.Load(certificate.Pair{Cert: good.Cert, Key: good.Key})
	if err != nil || certificate.Expired(c, time.Now()) != "" || strings.Join(certificate.Names(c), " ") != "localhost 127.0.0.1" {
		t.Errorf("%v, %v", err, c)
	}
	if _, err := certificate.LoadPool(good.Key); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("a pool of a key: %v", err)
	}
}

func TestExpired(t *testing.T) {
	now := time.Now()
	own := selfsigned.Until(t, now.Add(-time.Minute), "old.example")
	c, err := certificate.Load(certificate.Pair{Cert: own.Cert, Key: own.Key})
	if err != nil {
		t.Fatal(err)
	}
	if text := certificate.Expired(c, now); !strings.Contains(text, "has expired on ") {
		t.Error(text)
	}
	if left := certificate.Left(c, now); left > -59*time.Second || left < -62*time.Second {
		t.Error(left)
	}
	if text := certificate.Expired(c, now.Add(-48*time.Hour)); !strings.Contains(text, "is not valid before ") {
		t.Error(text)
	}
}

// served is the name of the certificate that a client gets.
func served(t *testing.T, s *certificate.Store, name string) string {
	t.Helper()
	c, err := s.Config().GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}})
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Names(c)[0]
}

func open(t *testing.T, ca string, all ...selfsigned.Certificate) *certificate.Store {
	t.Helper()
	o := certificate.Options{ClientCA: ca, MinVersion: tls.VersionTLS12}
	for _, c := range all {
		o.Pairs = append(o.Pairs, certificate.Pair{Cert: c.Cert, Key: c.Key})
	}
	s, err := certificate.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCertificateByName(t *testing.T) {
	s := open(t, "", selfsigned.For(t, "a.example"), selfsigned.For(t, "b.example", "*.b.example"))
	for name, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "x.b.example": "b.example", "B.Example": "b.example", "": "a.example", "c.example": "a.example"} {
		if got := served(t, s, name); got != want {
			t.Errorf("%q gets %s, want %s", name, got, want)
		}
	}
}

// TestRefresh: a bad file keeps the old certificate and is reported once, but not while the
// second of two files may still be missing.
func TestRefresh(t *testing.T) {
	own := selfsigned.For(t, "old.example")
	s := open(t, "", own)
	refresh := func(what string, changed bool, words string) {
		t.Helper()
		got, err := s.Refresh()
		if got != changed || (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %t, %v", what, got, err)
		}
	}
	refresh("nothing changed", false, "")
	next := selfsigned.For(t, "new.example")
	text := content(t, next.Cert)
	replace := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace(own.Cert, text[:len(text)/2])
	refresh("half a file", false, "")
	refresh("half a file, again", false, "write the file again")
	refresh("half a file, for long", false, "")
	replace(own.Cert, text)
	refresh("without its key", false, "")
	if got := served(t, s, ""); got != "old.example" {
		t.Errorf("%s is served", got)
	}
	replace(own.Key, content(t, next.Key))
	refresh("both are there", true, "")
	if got := served(t, s, ""); got != "new.example" || s.Failures() != 1 {
		t.Errorf("%s is served after %d failures", got, s.Failures())
	}
	if err := os.Remove(own.Key); err != nil {
		t.Fatal(err)
	}
	refresh("no key", false, "")
	refresh("no key, again", false, "put it there")
	if got := served(t, s, ""); got != "new.example" {
		t.Errorf("%s is served", got)
	}
	replace(own.Key, content(t, next.Key))
	refresh("the same as before", false, "")
	refresh("at rest", false, "")
}

// TestRefreshOfTheAuthorities: new authorities mean new keys for session tickets.
func TestRefreshOfTheAuthorities(t *testing.T) {
	first, second := selfsigned.For(t, "first"), selfsigned.For(t, "second")
	ca := write(t, content(t, first.Cert))
	s := open(t, ca, selfsigned.New(t))
	before := s.Config()
	if before.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("%v", before.ClientAuth)
	}
	if err := os.WriteFile(ca, []byte(content(t, second.Cert)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.Refresh(); !changed || err != nil {
		t.Fatalf("%t, %v", changed, err)
	}
	leaf, err := x509.ParseCertificate(second.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if after := s.Config(); after == before {
		t.Error("the configuration is the old one")
	} else if _, err := leaf.Verify(x509.VerifyOptions{Roots: after.ClientCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
}
