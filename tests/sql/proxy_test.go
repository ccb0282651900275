package sql_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A proxy is between a database and its clients, and cuts connections.
type proxy struct {
	url   string
	mu    sync.Mutex
	word  []byte // the client's words at which the connection is cut; nil for none
	after bool   // they are sent to the database before that, and its answer is not returned
}

// throughProxy returns a proxy to the PostgreSQL of a DSN.
func throughProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	to := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	u.Host = l.Addr().String()
	p := &proxy{url: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			go p.carry(client, server)
		}
	}()
	return p
}

// cut makes the proxy cut the next connection that sends these words.
func (p *proxy) cut(word string, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.word, p.after = []byte(word), after
}

// cuts reports whether these octets are to be cut.
func (p *proxy) cuts(octets []byte) (yes, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.word == nil || !bytes.Contains(octets, p.word) {
		return false, false
	}
	p.word = nil
	return true, p.after
}

func (p *proxy) carry(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	var mute sync.Mutex // held while answers are not returned
	go func() {
		b := make([]byte, 32<<10)
		for {
			n, err := server.Read(b)
			mute.Lock()
			if err == nil {
				_, err = client.Write(b[:n])
			}
			mute.Unlock()
			if err != nil {
				_ = client.Close()
				return
			}
		}
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if yes, after := p.cuts(b[:n]); yes {
			if after {
				mute.Lock()
				defer mute.Unlock()
				_, _ = server.Write(b[:n])
				if t, is := server.(*net.TCPConn); is { // PostgreSQL does what it has got, and then ends
					_ = t.CloseWrite()
				}
				_, _ = io.Copy(io.Discard, server)
			}
			return
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}
