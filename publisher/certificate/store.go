package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Store.
type Options struct {
	Pairs []Pair // the first one is for clients that send no server name, or an unknown one
	// ClientCA is the file with the authorities that sign clients' certificates; "" asks
	// clients for none.
	ClientCA string
	// Optional also lets in clients without a certificate.
	Optional   bool
	MinVersion uint16   // of TLS
	Protocols  []string // of ALPN
	// Hello, if set, is called when the whole ClientHello of a connection has arrived.
	Hello func(*tls.ClientHelloInfo)
}

// Store holds the certificates of listeners. Handshakes take them from it on any goroutine,
// while Refresh replaces them.
type Store struct {
	options Options
	held    atomic.Pointer[held]
	config  atomic.Pointer[tls.Config]

	mu     sync.Mutex // of Refresh
	files  []os.FileInfo
	failed string // the last error of reading the files; "" is none
	told   bool   // Refresh has returned that error
	errors atomic.Uint64
}

// held is what was read from the files. It does not change.
type held struct {
	certificates []*tls.Certificate
	authorities  *x509.CertPool
	authority    []byte // the content of the file that the pool was made from
}

// Open reads the files.
func Open(o Options) (*Store, error) {
	s := &Store{options: o}
	files := s.look()
	h, err := s.read()
	if err != nil {
		return nil, err
	}
	s.files = files
	s.held.Store(h)
	s.config.Store(s.makeConfig(h))
	return s, nil
}

// Config returns the configuration for a new connection. Its GetCertificate finds
// certificates that are loaded later, too.
func (s *Store) Config() *tls.Config { return s.config.Load() }

// makeConfig makes a configuration with new keys for session tickets. It is called only when
// the authorities change, so that a client that they no longer vouch for cannot resume its
// session.
func (s *Store) makeConfig(h *held) *tls.Config {
	c := &tls.Config{MinVersion: s.options.MinVersion, NextProtos: s.options.Protocols, GetCertificate: s.find}
	if hello := s.options.Hello; hello != nil {
		c.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) { hello(info); return nil, nil }
	}
	if h.authorities != nil {
		c.ClientCAs, c.ClientAuth = h.authorities, tls.RequireAndVerifyClientCert
		if s.options.Optional {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return c
}

// find returns the first certificate that the client can use, by its server name and its
// algorithms. If there is none, it returns the first certificate, as crypto/tls does.
func (s *Store) find(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := s.held.Load().certificates
	for _, c := range all {
		if len(all) == 1 || hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return all[0], nil
}

// Certificates returns those in use, in the order of Options.Pairs.
func (s *Store) Certificates() []*tls.Certificate { return s.held.Load().certificates }

// Authorities returns the content of Options.ClientCA, as it was read last.
func (s *Store) Authorities() []byte { return s.held.Load().authority }

// Pairs returns the files of Certificates.
func (s *Store) Pairs() []Pair { return s.options.Pairs }

// Failures returns how often changed files could not be read.
func (s *Store) Failures() uint64 { return s.errors.Load() }

// Refresh reads the files again if one of them has changed. After an error the old
// certificates stay in use. Each error is returned once, and only if it is still there at the
// second attempt: a certificate and its key are two files, which cannot be replaced at the
// same time. Refresh reads files, so it must not be called on the loop's thread.
func (s *Store) Refresh() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.look()
	if s.failed == "" && sameFiles(s.files, files) {
		return false, nil
	}
	h, err := s.read()
	if err != nil {
		again := s.failed == err.Error()
		if !again {
			s.failed, s.told = err.Error(), false
			return false, nil
		}
		if s.told {
			return false, nil
		}
		s.told = true
		s.errors.Add(1)
		return false, err
	}
	s.files, s.failed, s.told = files, "", false
	before := s.held.Swap(h)
	if !bytes.Equal(before.authority, h.authority) {
		s.config.Store(s.makeConfig(h))
		return true, nil
	}
	return !sameCertificates(before.certificates, h.certificates), nil
}

func (s *Store) read() (*held, error) {
	h := &held{}
	for _, p := range s.options.Pairs {
		c, err := Load(p)
		if err != nil {
			return nil, err
		}
		h.certificates = append(h.certificates, c)
	}
	if file := s.options.ClientCA; file != "" {
		var err error
		if h.authority, err = readPEM(file); err != nil {
			return nil, err
		}
		h.authorities = x509.NewCertPool()
		if !h.authorities.AppendCertsFromPEM(h.authority) {
			return nil, holdsNoCertificate(file)
		}
	}
	return h, nil
}

// look returns information by which a changed file can be told from the old one. A missing
// file has no entry.
func (s *Store) look() []os.FileInfo {
	names := make([]string, 0, 2*len(s.options.Pairs)+1)
	for _, p := range s.options.Pairs {
		names = append(names, p.Cert, p.Key)
	}
	if s.options.ClientCA != "" {
		names = append(names, s.options.ClientCA)
	}
	files := make([]os.FileInfo, len(names))
	for i, name := range names {
		files[i], _ = os.Stat(name) // reading it will report the error
	}
	return files
}

func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			return false
		case !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()):
			return false
		}
	}
	return true
}

func sameCertificates(a, b []*tls.Certificate) bool {
	for i := range a {
		if !bytes.Equal(a[i].Certificate[0], b[i].Certificate[0]) {
			return false
		}
	}
	return true
}

// Left returns how long a certificate is still valid. It is negative after it has expired.
func Left(c *tls.Certificate, now time.Time) time.Duration {
	if c.Leaf == nil {
		return 0
	}
	return c.Leaf.NotAfter.Sub(now)
}
