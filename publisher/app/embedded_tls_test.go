package app_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"zamqp/tests/kit/selfsigned"
)

// TestSilentTLSClients: connections that never begin their handshake do not delay a good
// client. It was served before they reached their time limit, so it did not wait for them. A
// machine that is too busy for that has more attempts.
func TestSilentTLSClients(t *testing.T) {
	own := selfsigned.New(t)
	at, _ := serveBroker(t, "", "broker.tls_cert="+own.Cert, "broker.tls_key="+own.Key)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: own.Pool}
	for try := 0; ; try++ {
		silent := silentClients(t, u.Host, 150)
		if err := declareAt(at, "q", config); err != nil {
			t.Fatal(err)
		}
		if closed(silent) == 0 {
			break
		}
		if try == 5 {
			t.Fatal("a client was served only when silent ones had run into their limit")
		}
	}
	// If too many wait, the oldest are closed first, and a good client is served.
	silent := silentClients(t, u.Host, 700)
	if err := declareAt(at, "q", config); err != nil {
		t.Fatal(err)
	}
	_ = silent[0].SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := silent[0].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest silent one is still there")
	}
}

// silentClients connect and send nothing until the test ends.
func silentClients(t *testing.T, at string, n int) (all []net.Conn) {
	for range n {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		all = append(all, conn)
	}
	return all
}

// closed counts connections that the other side has closed.
func closed(conns []net.Conn) (n int) {
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err == io.EOF || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			n++
		}
	}
	return n
}
