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

// Options say which certificates a Store has.
type Options struct {
	Pairs []Pair // the first one is for clients that ask for no name, or for an unknown one
	// ClientCA is the file of the authorities that sign the certificates of clients; "" = no certificates of clients.
	ClientCA string
	// Optional lets clients without a certificate in, too.
	Optional   bool
	MinVersion uint16   // of TLS
	Protocols  []string // of ALPN
	// Hello is called when the whole ClientHello of a connection is there; nil is nothing.
	Hello func(*tls.ClientHelloInfo)
}

// Store has the certificates of listeners. Handshakes take them from it on any goroutine, while Refresh replaces them.
type Store struct {
	options Options
	held    atomic.Pointer[held]
	config  atomic.Pointer[tls.Config]

	mu     sync.Mutex // of Refresh
	files  []os.FileInfo
	failed string // the last error of Refresh; "" = none
	told   bool   // and it was returned
	errors atomic.Uint64
}

// held is what was read from the files. It does not change.
type held struct {
	certificates []*tls.Certificate
	authorities  *x509.CertPool
	authority    []byte // the file that the pool was made of
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

// Config is the configuration of a connection that begins now. Later certificates reach it by its GetCertificate.
func (s *Store) Config() *tls.Config { return s.config.Load() }

// makeConfig makes a configuration with new keys for session tickets. That is done only when the authorities change, so that
// a client that they no longer vouch for cannot resume its session.
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

// find returns the first certificate that the client can use: by the name that it asks for, and by its algorithms. If there
// is none, it returns the first one, as crypto/tls does.
func (s *Store) find(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := s.held.Load().certificates
	for _, c := range all {
		if len(all) == 1 || hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return all[0], nil
}

// Certificates are those that are in use, in the order of Options.Pairs.
func (s *Store) Certificates() []*tls.Certificate { return s.held.Load().certificates }

// Pairs are the files of Certificates.
func (s *Store) Pairs() []Pair { return s.options.Pairs }

// Failures is how often files that had changed could not be read.
func (s *Store) Failures() uint64 { return s.errors.Load() }

// Refresh reads the files again if one of them has changed. With an error the certificates stay as they are. An error is
// returned once, and only if it is still there at the second try: a certificate and its key are two files, and cannot be
// replaced at once. It reads files, so it must not be called on the loop's thread.
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

// look returns what tells a changed file from the old one. A file that is missing has no entry.
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

// Left is how long a certificate is still valid. It is negative for one that has expired.
func Left(c *tls.Certificate, now time.Time) time.Duration {
	if c.Leaf == nil {
		return 0
	}
	return c.Leaf.NotAfter.Sub(now)
}
