package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// startTLS is startServer for HTTPS: addr is the address of that.
func (b *bench) startTLS(c contestant) (*server, error) {
	cert, key, err := b.certificate()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	flags := []string{"-tls", addr, "-cert", cert, "-key", key}
	if c.prog.isOurs() {
		b.ownEnv = []string{"ZAMQP_HTTP__TLS__LISTEN=" + addr, "ZAMQP_HTTP__TLS__CERT_FILE=" + cert, "ZAMQP_HTTP__TLS__KEY_FILE=" + key}
		defer func() { b.ownEnv = nil }()
		flags = nil
	}
	s, err := b.startServer(c, flags...)
	if err != nil {
		return nil, err
	}
	s.addr = addr
	return s, s.probeTLS()
}

// certificate makes one for 127.0.0.1, as new ones are: ECDSA with P-256.
func (b *bench) certificate() (cert, key string, err error) {
	cert, key = filepath.Join(b.dir, "cert.pem"), filepath.Join(b.dir, "key.pem")
	if _, err := os.Stat(key); err == nil {
		return cert, key, nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}

// anyCertificate is how wrk connects as well.
var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// probeTLS checks one answer.
func (s *server) probeTLS() error {
	conn, err := tls.Dial("tcp", s.addr, anyCertificate)
	if err != nil {
		return s.fail(err)
	}
	defer func() { _ = conn.Close() }() // the answer is in
	if _, err := io.WriteString(conn, s.helloRequest()); err != nil {
		return s.fail(err)
	}
	if err := readHello(bufio.NewReader(conn)); err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	return nil
}

// httpsPlain is GET /hello over TLS on connections that stay open.
func httpsPlain(b *bench, c contestant) (sample, error) {
	s, err := b.startTLS(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	got, _, err := b.loadURL(s, "https://"+s.addr+"/hello", "report.lua", nil)
	return got, err
}

// shakers is how many clients make handshakes at once.
const shakers = 4

// handshakes is connections that ask for /hello once, each with a whole handshake.
func handshakes(b *bench, c contestant) (sample, error) {
	s, err := b.startTLS(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	before, err := s.quiet(b.ctx)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	end := began.Add(b.options.load)
	counts, errs := make([]int, shakers), make([]error, shakers)
	var wg sync.WaitGroup
	for i := range shakers {
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) && b.ctx.Err() == nil {
				if errs[i] = s.probeTLS(); errs[i] == nil {
					counts[i]++
				}
			}
		})
	}
	wg.Wait()
	wall := time.Since(began)
	after, err := s.quiet(b.ctx)
	if err != nil {
		return sample{}, err
	}
	total := 0
	for i := range counts {
		total += counts[i]
		if errs[i] != nil {
			return sample{}, errs[i]
		}
	}
	return sample{count: total, wall: wall, cpu: after - before}, nil
}
