package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"zamqp/loop"
)

const (
	tlsHandshakeTimeout = 10 * time.Second
	// tlsHandshakesMax are under way at once on a listener. Who has to wait is a
	// client in the kernel's queue.
	tlsHandshakesMax = 64
)

// listenTLS opens a listener whose connections shake hands on goroutines and
// come to the loop as adopted streams.
func (e *embedded) listenTLS(address string) (net.Addr, error) {
	cert, err := tls.LoadX509KeyPair(e.settings.TLSCert, e.settings.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("broker.tls_cert and broker.tls_key: %w", err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	e.closers = append(e.closers, func() { _ = ln.Close() })
	e.loop.OnEnd(func() { _ = ln.Close() })
	go e.acceptTLS(ln, config)
	return ln.Addr(), nil
}

func (e *embedded) acceptTLS(ln net.Listener, config *tls.Config) {
	slots := make(chan struct{}, tlsHandshakesMax)
	for {
		slots <- struct{}{}
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, most likely: others come back
			<-slots
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go func() {
			e.shakeHands(tls.Server(nc, config))
			<-slots
		}()
	}
}

func (e *embedded) shakeHands(nc *tls.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), tlsHandshakeTimeout)
	defer cancel()
	if nc.HandshakeContext(ctx) != nil || !e.loop.Post(func() {
		e.loop.Adopt(nc, func(c *loop.Conn) loop.Peer { return e.accept(c) })
	}) {
		_ = nc.Close()
	}
}
