package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"zamqp/loop"
)

const (
	tlsHandshakeTimeout = 10 * time.Second
	// tlsHandshakesMax is how many handshakes a listener computes at once.
	tlsHandshakesMax = 64
	// tlsWaitingMax is how many handshakes are under way at once, with those whose client
	// has sent nothing.
	tlsWaitingMax = 512
)

// tlsDoor is a listener whose connections make their handshake on goroutines; the loop
// then adopts the streams. A handshake that waits for its client holds no slot, so that a
// silent client does not keep others waiting.
type tlsDoor struct {
	config *tls.Config
	slots  chan struct{} // one is held while a handshake is computed

	mu      sync.Mutex
	waiting []*shaking // in the order in which they came
}

// shaking is a connection during its handshake.
type shaking struct {
	net.Conn
	door   *tlsDoor
	heard  bool // its whole ClientHello has come; under door.mu
	shaken bool // the handshake is over; for the goroutine that reads
}

// listenTLS opens a listener for AMQP over TLS.
func (e *embedded) listenTLS(address string) (net.Addr, error) {
	cert, err := tls.LoadX509KeyPair(e.settings.TLSCert, e.settings.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("broker.tls_cert and broker.tls_key: %w", err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	d := &tlsDoor{slots: make(chan struct{}, tlsHandshakesMax)}
	d.config = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, GetConfigForClient: d.hear}
	e.closers = append(e.closers, func() { _ = ln.Close() })
	e.loop.OnEnd(func() { _ = ln.Close() })
	go e.acceptTLS(ln, d)
	return ln.Addr(), nil
}

func (e *embedded) acceptTLS(ln net.Listener, d *tlsDoor) {
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, most likely: others come back
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if e.loop.TakesFromShare(nc) {
			_ = nc.Close()
			continue
		}
		c := d.enter(nc)
		go e.shakeHands(c)
	}
}

// shakeHands holds a slot while it does not wait for the client.
func (e *embedded) shakeHands(c *shaking) {
	ctx, cancel := context.WithTimeout(context.Background(), tlsHandshakeTimeout)
	defer cancel()
	nc := tls.Server(c, c.door.config)
	c.door.slots <- struct{}{}
	err := nc.HandshakeContext(ctx)
	<-c.door.slots
	c.shaken = true
	c.door.leave(c)
	if err != nil || !e.loop.Post(func() {
		e.loop.Adopt(nc, func(c *loop.Conn) loop.Peer { return e.accept(c) })
	}) {
		_ = nc.Close()
	}
}

// Read gives the slot away while it waits.
func (c *shaking) Read(b []byte) (int, error) {
	if c.shaken {
		return c.Conn.Read(b)
	}
	<-c.door.slots
	n, err := c.Conn.Read(b)
	c.door.slots <- struct{}{}
	return n, err
}

// enter registers a connection. If there are too many, the oldest one that has sent no
// ClientHello is closed, or else the oldest.
func (d *tlsDoor) enter(nc net.Conn) *shaking {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) >= tlsWaitingMax {
		i := max(0, slices.IndexFunc(d.waiting, func(c *shaking) bool { return !c.heard }))
		_ = d.waiting[i].Conn.Close()
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	c := &shaking{Conn: nc, door: d}
	d.waiting = append(d.waiting, c)
	return c
}

func (d *tlsDoor) leave(c *shaking) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.waiting, c); i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
}

// hear is called when the whole ClientHello has come.
func (d *tlsDoor) hear(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if c, ok := hello.Conn.(*shaking); ok {
		d.mu.Lock()
		c.heard = true
		d.mu.Unlock()
	}
	return nil, nil
}
