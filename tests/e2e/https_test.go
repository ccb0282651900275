package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Handle("GET /tls/call", func(r *publisher.Request) error { return r.Text(200, r.Scheme()+" "+describe(r.TLS())) })
	seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, describe(r.TLS)) })
	publisher.Handle("GET /tls/http", publisher.HTTP(seen))
	publisher.Handle("GET /tls/inline", publisher.Inline(seen))
	publisher.Handle("POST /tls/echo", func(r *publisher.Request) error { return r.Bytes(200, "application/octet-stream", r.Body()) })
	publisher.Handle("GET /tls/large", func(r *publisher.Request) error {
		return r.Bytes(200, "application/octet-stream", bytes.Repeat([]byte("x"), 8<<20))
	})
}

// describe answers with what a handler sees of TLS.
func describe(state *tls.ConnectionState) string {
	if state == nil {
		return "without TLS"
	}
	peer := "nobody"
	if len(state.VerifiedChains) > 0 {
		peer = state.PeerCertificates[0].Subject.CommonName
	}
	return fmt.Sprintf("%s for %q, %q, from %s", tls.VersionName(state.Version), state.ServerName, state.NegotiatedProtocol, peer)
}

// startTLS runs a server with HTTPS and returns its address.
func startTLS(t *testing.T, own selfsigned.Certificate, options ...string) (s *server, at string) {
	t.Helper()
	s = start(t, embedded, append([]string{"http.tls.listen=127.0.0.1:0", "http.tls.cert_file=" + own.Cert, "http.tls.key_file=" + own.Key}, options...)...)
	return s, strings.TrimPrefix(s.log.Await(t, "serving https").Address, "https://")
}

// httpsClient is net/http's, for one name.
func httpsClient(config *tls.Config) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func ask(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestHandlersSeeTLS: whatever kind of handler it is, with and without TLS.
func TestHandlersSeeTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own, "http.tls.hsts=max-age=60")
	c := httpsClient(&tls.Config{RootCAs: own.Pool, ServerName: "localhost"})
	want := `TLS 1.3 for "localhost", "", from nobody`
	for path, want := range map[string]string{"/tls/call": "https " + want, "/tls/http": want, "/tls/inline": want} {
		resp, got := ask(t, c, "https://"+at+path)
		if got != want || resp.Header.Get("Strict-Transport-Security") != "max-age=60" || resp.Proto != "HTTP/1.1" {
			t.Errorf("%s: %s, %v", path, got, resp.Header)
		}
	}
	for path, want := range map[string]string{"/tls/call": "http without TLS", "/tls/http": "without TLS", "/tls/inline": "without TLS"} {
		resp, got := ask(t, http.DefaultClient, s.url+path)
		if got != want || resp.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %s, %v", path, got, resp.Header)
		}
	}
	if resp, _ := ask(t, c, "https://"+at+"/nowhere"); resp.StatusCode != 404 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
	if n := s.metric("tls_handshakes_total", "listener=http"); n < 1 {
		t.Errorf("%v handshakes", n)
	}
	if left := s.metric("tls_certificate_expiry_seconds", "file="+own.Cert); left < 3000 || left > 3600 {
		t.Errorf("%v seconds are left", left)
	}
}

// TestProtocolsOfTLS: ALPN offers only http/1.1, and old versions are refused.
func TestProtocolsOfTLS(t *testing.T) {
	own := selfsigned.New(t)
	_, at := startTLS(t, own, "http.tls.min_version=1.3")
	for _, row := range []struct {
		name    string
		offered []string
		version uint16
		got     string
		fails   string
	}{
		{"none", nil, 0, "", ""},
		{"both", []string{"h2", "http/1.1"}, 0, "http/1.1", ""},
		{"h2", []string{"h2"}, 0, "", "no application protocol"},
		{"TLS 1.2", nil, tls.VersionTLS12, "", "protocol version"},
	} {
		nc, err := tls.Dial("tcp", at, &tls.Config{RootCAs: own.Pool, NextProtos: row.offered, MaxVersion: row.version})
		if err != nil {
			if row.fails == "" || !strings.Contains(err.Error(), row.fails) {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if got := nc.ConnectionState().NegotiatedProtocol; got != row.got || row.fails != "" {
			t.Errorf("%s: %q", row.name, got)
		}
		_ = nc.Close()
	}
}

// TestCertificatesOfClients: a handler sees whose they are.
func TestCertificatesOfClients(t *testing.T) {
	own, authority := selfsigned.New(t), selfsigned.For(t, "authority")
	alice, stranger := authority.Sign(t, "alice"), selfsigned.For(t, "stranger")
	for _, row := range []struct {
		name, way string
		from      *selfsigned.Certificate
		want      string // "" = refused
	}{
		{"alice", "require", &alice, "from alice"},
		{"nobody", "require", nil, ""},
		{"a stranger", "require", &stranger, ""},
		{"alice, optional", "optional", &alice, "from alice"},
		{"nobody, optional", "optional", nil, "from nobody"},
		{"a stranger, optional", "optional", &stranger, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, at := startTLS(t, own, "http.tls.client_ca_file="+authority.Cert, "http.tls.client_auth="+row.way)
			config := &tls.Config{RootCAs: own.Pool}
			if from := row.from; from != nil { // even if the server does not ask for its authority
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &from.TLS, nil }
			}
			resp, err := httpsClient(config).Get("https://" + at + "/tls/call")
			if err != nil {
				if row.want != "" {
					t.Error(err)
				}
				return
			}
			defer resp.Body.Close()
			if text, _ := io.ReadAll(resp.Body); row.want == "" || !strings.HasSuffix(string(text), row.want) {
				t.Errorf("%s", text)
			}
		})
	}
}

// TestRedirectToTLS: everything but what watches the server.
func TestRedirectToTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own, "http.tls.redirect=true", "http.tls.redirect_port=443")
	_ = at
	for _, row := range []struct{ name, request, want string }{
		{"GET", "GET /tls/call?a=b HTTP/1.1\r\nHost: h:81\r\n\r\n", "308 https://h/tls/call?a=b"},
		{"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", "308 https://[::1]/"},
		{"no route", "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", "308 https://h/nowhere"},
		{"HEAD", "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n", "308 https://h/x"},
		{"absolute", "GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n", "308 https://h/x?y"},
		{"a body", "POST /tls/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", "308 https://h/tls/echo"},
		{"expected", "POST /tls/echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "308 https://h/tls/echo"},
		{"no host", "GET /x HTTP/1.0\r\n\r\n", "400 "},
		{"backslash", "GET /\\evil HTTP/1.1\r\nHost: h\r\n\r\n", "308 https://h/%5Cevil"},
		{"health", "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", "200 "},
		{"metrics", "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "200 "},
	} {
		nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, row.request)
		method, _, _ := strings.Cut(row.request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(nc), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Location")); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		_ = nc.Close()
	}
}

// TestWrongKindOfPort: each side says what is wrong.
func TestWrongKindOfPort(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	if resp, text := ask(t, http.DefaultClient, "http://"+at+"/tls/call"); resp.StatusCode != 400 || text != "Client sent an HTTP request to an HTTPS server.\n" {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	_, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{RootCAs: own.Pool})
	if header := (tls.RecordHeaderError{}); !errors.As(err, &header) || string(header.RecordHeader[:]) != "HTTP/" {
		t.Errorf("%v", err)
	}
	if n := s.metric("tls_handshakes_failed_total", "listener=http"); n != 1 {
		t.Errorf("%v failures", n)
	}
}

// TestSilentClientsOfHTTPS: 300 connections that send nothing do not delay a good client.
func TestSilentClientsOfHTTPS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	for range 300 {
		nc, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	wait.Until(t, "all are waiting", func() bool { return s.metric("tls_handshakes_waiting") == 300 })
	if _, text := ask(t, httpsClient(&tls.Config{RootCAs: own.Pool}), "https://"+at+"/tls/call"); !strings.HasPrefix(text, "https ") {
		t.Error(text)
	}
	if n := s.metric("tls_handshakes_failed_total"); n != 0 {
		t.Logf("%v silent clients ran into their limit: the machine was too busy to show that nobody waits for them", n)
	}
}

// TestSessionsAreResumed: by tickets, of both versions.
func TestSessionsAreResumed(t *testing.T) {
	own := selfsigned.New(t)
	_, at := startTLS(t, own)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{RootCAs: own.Pool, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for i := range 2 {
			c := httpsClient(config)
			ask(t, c, "https://"+at+"/tls/call")
			resp, _ := ask(t, c, "https://"+at+"/tls/call")
			if resumed := resp.TLS.DidResume; resumed != (i == 1) {
				t.Errorf("%s, %d: resumed %t", tls.VersionName(version), i, resumed)
			}
			c.CloseIdleConnections()
		}
	}
}

// TestEndsOfTLS: a client that only shuts its side gets its answer, and one that ends without
// close_notify, or in the middle of its body, harms nothing else.
func TestEndsOfTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	dial := func() (*tls.Conn, net.Conn) {
		tcp, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		nc := tls.Client(tcp, &tls.Config{RootCAs: own.Pool, ServerName: "localhost"})
		t.Cleanup(func() { _ = tcp.Close() })
		_ = tcp.SetDeadline(time.Now().Add(patience))
		return nc, tcp
	}
	nc, _ := dial()
	_, _ = io.WriteString(nc, "POST /tls/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhalf")
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(nc); err != nil || !strings.HasSuffix(string(text), "\r\n\r\nhalf") {
		t.Errorf("after close_notify: %q, %v", text, err)
	}
	nc, tcp := dial()
	_, _ = io.WriteString(nc, "POST /tls/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
	_ = tcp.(*net.TCPConn).CloseWrite() // no close_notify: what came is not whole
	if text, _ := io.ReadAll(nc); strings.Contains(string(text), "200 OK") {
		t.Errorf("half a body: %q", text)
	}
	nc, tcp = dial()
	_, _ = io.WriteString(nc, "GET /tls/call HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil {
		t.Error(err)
	}
	_ = tcp.Close()
	nc, tcp = dial()
	if err := nc.Handshake(); err != nil {
		t.Fatal(err)
	}
	_, _ = tcp.Write([]byte{23, 3, 3, 0, 32, 1, 2, 3}) // a record that is cut, and whose MAC would be wrong
	_ = tcp.Close()
	wait.Until(t, "all connections are gone", func() bool { return s.metric("http_connections") == 1 })
	if _, text := ask(t, httpsClient(&tls.Config{RootCAs: own.Pool}), "https://"+at+"/tls/call"); !strings.HasPrefix(text, "https ") {
		t.Error(text)
	}
}

// TestLargeBodiesOverTLS: both ways, and a client that does not read is not read.
func TestLargeBodiesOverTLS(t *testing.T) {
	own := selfsigned.New(t)
	_, at := startTLS(t, own)
	c := httpsClient(&tls.Config{RootCAs: own.Pool})
	body := bytes.Repeat([]byte("0123456789abcdef"), 400<<10)
	resp, err := c.Post("https://"+at+"/tls/echo", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d octets came back: %v", len(got), err)
	}
	resp, text := ask(t, c, "https://"+at+"/tls/large")
	if len(text) != 8<<20 || resp.StatusCode != 200 {
		t.Errorf("%d octets", len(text))
	}
}

// TestReloadUnderLoad: a certificate that is replaced fails no request, and new connections
// get it.
func TestReloadUnderLoad(t *testing.T) {
	own, next := selfsigned.For(t, "localhost"), selfsigned.For(t, "localhost", "new.example")
	s, at := startTLS(t, own)
	pool := own.Pool.Clone()
	pool.AddCert(mustParse(t, next))
	ctx, stop := context.WithCancel(t.Context())
	var fresh, served atomic.Int64
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			c := httpsClient(&tls.Config{RootCAs: pool})
			for ctx.Err() == nil {
				resp, err := c.Get("https://" + at + "/tls/call")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				served.Add(1)
				if len(resp.TLS.PeerCertificates[0].DNSNames) == 2 {
					fresh.Add(1)
				}
				if i%2 == 0 { // the others keep their connection
					c.CloseIdleConnections()
				}
			}
		})
	}
	wait.Until(t, "the old one is served", func() bool { return served.Load() > 20 })
	own.Replace(t, next)
	wait.Until(t, "the new one is served", func() bool { return fresh.Load() > 20 })
	stop()
	all.Wait()
	if !strings.Contains(s.log.String(), "the certificates were read again") {
		t.Error("the log does not say it")
	}
	if err := os.WriteFile(own.Cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.log.Await(t, "the changed certificate cannot be used: the old one stays")
	ask(t, httpsClient(&tls.Config{RootCAs: pool}), "https://"+at+"/tls/call")
}

// dialTLS connects to a server with the certificate, until t ends.
func dialTLS(t *testing.T, at string, own selfsigned.Certificate) *tls.Conn {
	t.Helper()
	nc, err := tls.Dial("tcp", at, &tls.Config{RootCAs: own.Pool})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// TestHijackOverTLS: a handler of net/http takes over the connection, and goes on with the same
// stream.
func TestHijackOverTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	nc := dialTLS(t, at, own)
	_ = nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(nc, "GET /tls/call HTTP/1.1\r\nHost: h\r\n\r\nGET /net/hijack/echo HTTP/1.1\r\nHost: x\r\n\r\nbehind\n")
	in := bufio.NewReader(nc)
	for _, want := range []int{200, 101} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%v, %v", resp, err)
		}
		if want == 200 {
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	}
	if line, err := in.ReadString('\n'); line != "behind\n" {
		t.Errorf("%q, %v", line, err)
	}
	echoes(t, nc, in)
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	wait.Until(t, "it is counted out", func() bool { return s.metric("http_connections_hijacked") == 0 })
}

// TestExpiredCertificate: it is served, and the log warns.
func TestExpiredCertificate(t *testing.T) {
	own := selfsigned.Until(t, time.Now().Add(-time.Minute), "localhost")
	s, at := startTLS(t, own)
	ask(t, httpsClient(&tls.Config{InsecureSkipVerify: true}), "https://"+at+"/tls/call")
	if !strings.Contains(s.log.String(), "a certificate has expired on ") || s.metric("tls_certificate_expiry_seconds") >= 0 {
		t.Error("nobody says that it has expired")
	}
}

// TestDrainOfTLS: a call that runs is answered, and idle connections end by close_notify.
func TestDrainOfTLS(t *testing.T) {
	own := selfsigned.New(t)
	s, at := startTLS(t, own)
	nc := dialTLS(t, at, own)
	_, _ = io.WriteString(nc, "GET /tls/call HTTP/1.1\r\nHost: h\r\n\r\n")
	in := bufio.NewReader(nc)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	ended := make(chan error, 1)
	go func() { ended <- s.drain() }()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 { // without close_notify it would be io.ErrUnexpectedEOF
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", at); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
}

// TestOtherClientsOfHTTPS: curl and openssl, where they are.
func TestOtherClientsOfHTTPS(t *testing.T) {
	own := selfsigned.New(t)
	_, at := startTLS(t, own)
	_, port, _ := net.SplitHostPort(at)
	for _, row := range []struct {
		command []string
		input   string
		want    string
	}{
		{[]string{"curl", "-sS", "-i", "--cacert", own.Cert, "https://localhost:" + port + "/tls/call"}, "", `https TLS 1.3 for "localhost", "http/1.1", from nobody`},
		{[]string{"curl", "-sS", "--tls-max", "1.2", "--cacert", own.Cert, "https://localhost:" + port + "/tls/call"}, "", `https TLS 1.2 for "localhost"`},
		{[]string{"openssl", "s_client", "-connect", at, "-servername", "localhost", "-CAfile", own.Cert, "-ign_eof"},
			"GET /tls/call HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", `https TLS 1.3 for "localhost"`},
		{[]string{"openssl", "s_client", "-connect", at, "-tls1_2", "-CAfile", own.Cert, "-msg"}, "R\n", "Alert [length 0002], fatal unexpected_message"},
	} {
		t.Run(strings.Join(row.command[:2], " "), func(t *testing.T) {
			if _, err := exec.LookPath(row.command[0]); err != nil {
				t.Skipf("there is no %s", row.command[0])
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, row.command[0], row.command[1:]...)
			cmd.Stdin = strings.NewReader(row.input)
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), row.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func mustParse(t *testing.T, c selfsigned.Certificate) *x509.Certificate {
	t.Helper()
	parsed, err := x509.ParseCertificate(c.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
