package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// eventText is the data of an event: about a line of news.
var eventText = strings.Repeat("news", 25)

// eventsOf is how many events each client gets.
const eventsOf = 20

// events makes many clients follow a topic, and sends events one after the other: each when all
// clients have got the one before.
func events(b *bench, c contestant) (sample, error) {
	if err := raiseFiles(b.options.idle + 500); err != nil {
		return sample{}, err
	}
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	if _, err := s.probe(); err != nil {
		return sample{}, err
	}
	f, err := s.follow(b.options.idle)
	defer func() { drop(f.conns) }()
	if err != nil {
		return sample{}, s.fail(err)
	}
	if err := f.broadcast(s); err != nil { // for buffers that are made once
		return sample{}, s.fail(err)
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	for range eventsOf {
		if err := f.broadcast(s); err != nil {
			return sample{}, s.fail(err)
		}
	}
	wall := time.Since(began)
	after, err := s.cpu()
	return sample{count: len(f.conns) * eventsOf, wall: wall, cpu: after - before}, err
}

// eventsMemory measures what a client costs that follows a topic, after one event.
func eventsMemory(b *bench, c contestant) (sample, error) {
	if err := raiseFiles(b.options.idle + 500); err != nil {
		return sample{}, err
	}
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	for range 20 {
		if _, err := s.probe(); err != nil {
			return sample{}, err
		}
	}
	time.Sleep(200 * time.Millisecond)
	before, err := s.private()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	f, err := s.follow(b.options.idle)
	defer func() { drop(f.conns) }()
	if err == nil {
		err = f.broadcast(s)
	}
	if err != nil {
		return sample{}, s.fail(err)
	}
	wall := time.Since(began)
	time.Sleep(b.warm)
	after, err := s.private()
	return sample{count: len(f.conns), wall: wall, bytes: after - before}, err
}

// followers are the clients of one server.
type followers struct {
	conns []net.Conn
	sent  int64
	got   atomic.Int64 // events, by all clients
	wrong atomic.Int64
	some  chan struct{} // some client has got one
}

func (s *server) follow(n int) (*followers, error) {
	f := &followers{some: make(chan struct{}, 1)}
	for range n {
		conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
		if err != nil {
			return f, fmt.Errorf("client %d: %w", len(f.conns), err)
		}
		f.conns = append(f.conns, conn)
		if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: "+s.addr+"\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
			return f, err
		}
		in := bufio.NewReaderSize(conn, 512)
		if err := awaitStream(conn, in); err != nil {
			return f, fmt.Errorf("client %d: %w", len(f.conns), err)
		}
		go f.read(in)
	}
	return f, nil
}

// awaitStream reads up to the first empty line of the stream: the client follows then.
func awaitStream(conn net.Conn, in *bufio.Reader) error {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	for empty := 0; empty < 2; { // behind the head, and behind the first lines of the stream
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			empty++
		}
	}
	return conn.SetReadDeadline(time.Time{})
}

func (f *followers) read(in *bufio.Reader) {
	want := "data: " + eventText
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return // dropped
		}
		if !bytes.HasPrefix(line, []byte("data:")) {
			continue
		}
		if string(bytes.TrimSpace(line)) != want {
			f.wrong.Add(1)
		}
		f.got.Add(1)
		select {
		case f.some <- struct{}{}:
		default:
		}
	}
}

// broadcast sends an event and waits until all clients have got it.
func (f *followers) broadcast(s *server) error {
	resp, err := http.Post("http://"+s.addr+"/events", "text/plain", strings.NewReader(eventText))
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // only the status is needed
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%w: POST /events: %s", errWrong, resp.Status)
	}
	f.sent++
	late := time.After(30 * time.Second)
	for f.got.Load() < f.sent*int64(len(f.conns)) {
		select {
		case <-f.some:
		case <-late:
			return fmt.Errorf("%d of %d events have come", f.got.Load(), f.sent*int64(len(f.conns)))
		}
	}
	if n := f.wrong.Load(); n > 0 {
		return fmt.Errorf("%w: %d events", errWrong, n)
	}
	return nil
}
