package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// echoers is how many sockets echo at once, each one message at a time.
const echoers = 64

// An echoing message: a frame of a client with a mask of zeros, and the frame that comes
// back.
const (
	echoText  = "Hello, World!"
	echoFrame = "\x81\x8d\x00\x00\x00\x00" + echoText
	echoReply = "\x81\x0d" + echoText
)

// socketWorkloads are those of WebSockets.
func socketWorkloads(p programSet) []workload {
	sockets := append([]contestant{{ours, p.zamqpBench, 0}}, append(goCores("gorilla/websocket", p.gorilla), goCores("gobwas/ws", p.gobwas)...)...)
	return []workload{
		{name: "websocket-echo", title: "WebSocket echo", unit: "message", contestants: sockets, run: socketEcho,
			what: "64 sockets send a text of 13 octets each and wait until it comes back."},
		{name: "websocket-idle", title: "Memory of an idle WebSocket", unit: "socket", memory: true, contestants: sockets, run: socketIdle,
			what: "Sockets that have had one message each and then stay silent: private memory of the process (`smaps_rollup`), less what it had before."},
	}
}

// socketEcho is messages that go to a WebSocket and come back.
func socketEcho(b *bench, c contestant) (sample, error) {
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	conns, err := s.sockets(echoers)
	defer drop(conns)
	if err != nil {
		return sample{}, s.fail(err)
	}
	before, err := s.quiet(b.ctx)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	end := began.Add(b.options.load)
	counts, errs := make([]int, len(conns)), make([]error, len(conns))
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) && b.ctx.Err() == nil {
				if errs[i] = echoOnce(conn); errs[i] == nil {
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
			return sample{}, s.fail(errs[i])
		}
	}
	return sample{count: total, wall: wall, cpu: after - before}, nil
}

// socketIdle is the memory of sockets that are silent after one message.
func socketIdle(b *bench, c contestant) (sample, error) {
	if err := raiseFiles(b.options.idle + 500); err != nil {
		return sample{}, err
	}
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	first, err := s.sockets(20) // what the process needs for any socket at all does not count
	defer drop(first)
	if err != nil {
		return sample{}, s.fail(err)
	}
	time.Sleep(200 * time.Millisecond)
	before, err := s.private()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	conns, err := s.sockets(b.options.idle)
	defer drop(conns)
	if err != nil {
		return sample{}, s.fail(err)
	}
	wall := time.Since(began)
	time.Sleep(b.warm)
	after, err := s.private()
	if err != nil {
		return sample{}, err
	}
	return sample{count: len(conns), wall: wall, bytes: after - before}, nil
}

// sockets opens n WebSockets, each with one message that comes back. After an error it
// still returns those that it opened.
func (s *server) sockets(n int) (conns []net.Conn, err error) {
	handshake := "GET /echo HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for range n {
		conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
		if err != nil {
			return conns, fmt.Errorf("socket %d: %w", len(conns), err)
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, handshake); err != nil {
			return conns, fmt.Errorf("socket %d: %w", len(conns), err)
		}
		var head strings.Builder
		var octet [1]byte
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			if _, err := io.ReadFull(conn, octet[:]); err != nil {
				return conns, fmt.Errorf("socket %d: %w", len(conns), err)
			}
			head.WriteByte(octet[0])
		}
		if !strings.HasPrefix(head.String(), "HTTP/1.1 101 ") {
			return conns, fmt.Errorf("%w: %q", errWrong, head.String())
		}
		if err := echoOnce(conn); err != nil {
			return conns, fmt.Errorf("socket %d: %w", len(conns), err)
		}
	}
	return conns, nil
}

// echoOnce sends a message and checks what comes back.
func echoOnce(conn net.Conn) error {
	if _, err := io.WriteString(conn, echoFrame); err != nil {
		return err
	}
	var b [len(echoReply)]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if string(b[:]) != echoReply {
		return fmt.Errorf("%w: %q came back", errWrong, b)
	}
	return nil
}
