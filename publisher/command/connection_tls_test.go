package command_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/tests/kit/rabbitmq"
)

// authority makes certificates, in a directory of its own.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "zamqp test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(name, kind string, der []byte) {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign makes NAME.pem and NAME.key: a certificate for hosts, good for that long.
func (a *authority) sign(name string, good time.Duration, hosts ...string) {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(good), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "EC PRIVATE KEY", private)
}

// publish runs zamqp publish against a URL, with options of the connection.
func publish(t *testing.T, timeout, url string, options ...string) (out string, ok bool) {
	t.Helper()
	var log bytes.Buffer
	c := &command.CLI{Registry: publisher.NewRegistry(), Stdout: &log, Stderr: &log}
	args := []string{"publish", "--url", url, "--timeout", timeout, "--declare", "-q", "zamqp-tls", "hello"}
	for _, option := range options {
		args = append(args, "-o", "connection.default."+option)
	}
	ok = c.Run(context.Background(), args) == 0
	return log.String(), ok
}

// silent is a TLS server that never sends anything of AMQP.
func (a *authority) silent(name string, config *tls.Config) (port int) {
	a.t.Helper()
	cert, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{cert}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_, _ = nc.Read(make([]byte, 1000)) // and shakes hands
				_, _ = nc.Read(make([]byte, 1000))
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// hangsUp is a port that closes what connects when it has said something.
func hangsUp(t *testing.T) (port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 1<<16))
			_ = nc.Close()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// TestTLSErrors: each mistake with certificates has an error that says what to set. None of
// these needs a broker.
func TestTLSErrors(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.sign("good", time.Hour, "localhost", "127.0.0.1")
	ours.sign("expired", -time.Hour, "localhost")
	ours.sign("other", time.Hour, "rabbit.example.com")
	ours.sign("client", time.Hour)
	theirs.sign("stranger", time.Hour)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	asks := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	asks12 := asks.Clone()
	asks12.MaxVersion = tls.VersionTLS12
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	go func() {
		for {
			nc, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Write([]byte("AMQP\x00\x00\x09\x01"))
			_ = nc.Close()
		}
	}()
	good := ours.silent("good", &tls.Config{})
	ca := "ca_file=" + ours.path("ca.pem")
	client := []string{ca, "cert_file=" + ours.path("client.pem"), "key_file=" + ours.path("client.key")}
	stranger := []string{ca, "cert_file=" + theirs.path("stranger.pem"), "key_file=" + theirs.path("stranger.key")}
	for _, row := range []struct {
		name    string
		port    int
		options []string
		want    string
	}{
		{"nobody's authority", good, nil, "set connection.default.ca_file"},
		{"another authority", good, []string{"ca_file=" + theirs.path("ca.pem")}, "was not signed by the authority in connection.default.ca_file"},
		{"another name", ours.silent("other", &tls.Config{}), []string{ca}, "valid for rabbit.example.com, not localhost: connect by a name that is in the certificate, or set connection.default.server_name"},
		{"another name, named", ours.silent("other", &tls.Config{}), []string{ca, "server_name=rabbit.example.com"}, "no answer within"},
		{"expired", ours.silent("expired", &tls.Config{}), []string{ca}, "renew the broker's certificate"},
		{"no certificate of ours", ours.silent("good", asks), []string{ca}, "set connection.default.cert_file and key_file"},
		{"no certificate of ours, TLS 1.2", ours.silent("good", asks12), []string{ca}, "set connection.default.cert_file and key_file"},
		{"a stranger's certificate", ours.silent("good", asks), stranger, "does not know who signed connection.default.cert_file"},
		{"a stranger's certificate, TLS 1.2", ours.silent("good", asks12), stranger, "does not know who signed connection.default.cert_file"},
		{"our certificate", ours.silent("good", asks), client, "no answer within"},
		{"not verified", ours.silent("expired", &tls.Config{}), []string{"verify=false"}, "no answer within"},
		{"an old broker", ours.silent("good", &tls.Config{MaxVersion: tls.VersionTLS11}), []string{ca}, "TLS 1.2"},
		{"no TLS", plain.Addr().(*net.TCPAddr).Port, []string{ca}, "this port speaks no TLS"},
		{"hangs up", hangsUp(t), []string{ca}, "is this the broker's TLS port (5671 as a rule)? If it is to be without TLS, write amqp://"},
		{"no such file", good, []string{"ca_file=" + ours.path("none.pem")}, "no such file"},
		{"a key of another", good, []string{ca, "cert_file=" + ours.path("client.pem"), "key_file=" + ours.path("good.key")}, "connection.default.cert_file: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := fmt.Sprintf("amqps://guest:guest@localhost:%d/", row.port)
			timeout := "60s"
			if strings.HasPrefix(row.want, "no answer") {
				timeout = "2s"
			}
			out, ok := publish(t, timeout, url, row.options...)
			if ok || !strings.Contains(out, row.want) {
				t.Errorf("published %v: %s\nwant %s", ok, out, row.want)
			}
			t.Log(out)
		})
	}
}

// TestTLS publishes over TLS to a RabbitMQ that wants certificates.
func TestTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker")
	}
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.sign("server", time.Hour, "localhost")
	ours.sign("shop", time.Hour)
	ours.sign("nobody", time.Hour)
	theirs.sign("stranger", time.Hour)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	node := rabbitmq.NewWith(t, fmt.Sprintf(`listeners.ssl.1 = 127.0.0.1:%d
ssl_options.cacertfile = %s
ssl_options.certfile = %s
ssl_options.keyfile = %s
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
`, port, ours.path("ca.pem"), ours.path("server.pem"), ours.path("server.key")), "rabbitmq_auth_mechanism_ssl")
	node.Ctl(t, "add_user", "shop", "s3cret")
	node.Ctl(t, "set_permissions", "shop", ".*", ".*", ".*")
	url := func(user, certificate string, more string) string {
		return fmt.Sprintf("amqps://%slocalhost:%d/?cacertfile=%s%s%s", user, port, ours.path("ca.pem"), certificate, more)
	}
	with := func(a *authority, name string) string {
		return fmt.Sprintf("&certfile=%s&keyfile=%s", a.path(name+".pem"), a.path(name+".key"))
	}
	for _, row := range []struct{ name, url, want string }{
		{"PLAIN", url("shop:s3cret@", with(ours, "shop"), ""), ""},
		{"AMQPLAIN", url("shop:s3cret@", with(ours, "nobody"), "&auth_mechanism=amqplain"), ""},
		{"EXTERNAL", url("", with(ours, "shop"), "&auth_mechanism=external"), ""},
		{"EXTERNAL as nobody", url("", with(ours, "nobody"), "&auth_mechanism=external"), "the certificate's name is no user of the broker"},
		{"no certificate", url("shop:s3cret@", "", ""), "set connection.default.cert_file and key_file"},
		{"a stranger's certificate", url("shop:s3cret@", with(theirs, "stranger"), ""), "does not know who signed connection.default.cert_file"},
		{"wrong password", url("shop:wrong@", with(ours, "shop"), ""), "login refused"},
		{"no TLS on the TLS port", fmt.Sprintf("amqp://shop:s3cret@localhost:%d/", port), "the peer answers in TLS: write amqps://"},
		{"TLS on the other port", strings.Replace(node.URL, "amqp:", "amqps:", 1), "this port speaks no TLS"},
	} {
		out, ok := publish(t, "60s", row.url)
		if ok != (row.want == "") || !strings.Contains(out, row.want) {
			t.Errorf("%s: published %v: %s\nwant %s", row.name, ok, out, row.want)
		}
		t.Log(row.name, out)
	}
}
