package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// A server is a process that speaks HTTP.
type server struct {
	*process
	addr string
}

const startLimit = 30 * time.Second

// startServer starts a contestant of an HTTP workload and waits until it answers.
// Peers take flags. Ours takes config.toml, with the port and the broker from the
// environment.
func (b *bench) startServer(c contestant, flags ...string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	env, args, path := []string(nil), append([]string{"-addr", addr}, flags...), "/hello"
	if c.prog.isOurs() {
		args, path = nil, "/readyz"
		env = b.oursEnv(addr)
	}
	p, err := b.start(c, env, args...)
	if err != nil {
		return nil, err
	}
	s := &server{p, addr}
	if err := s.await(path); err != nil {
		p.stop()
		return nil, err
	}
	return s, nil
}

// The queues of the demonstration's handlers. Our server is told their names,
// because an earlier revision may have registered others.
const (
	demoHello   = "zamqp-demo.hello"
	demoBilling = "zamqp-demo.billing"
)

// oursEnv is everything that our server is told besides config.toml.
func (b *bench) oursEnv(addr string) []string {
	env := []string{"ZAMQP_HTTP__LISTEN=" + addr, "ZAMQP_CONNECTION__DEFAULT__URL=" + b.broker.url, "ZAMQP_LOG__LEVEL=warn",
		"ZAMQP_CONSUMER__HELLO__QUEUE=" + demoHello, "ZAMQP_CONSUMER__BILLING__QUEUE=" + demoBilling}
	if b.profile != "" {
		env = append(env, "BENCH_PROFILE="+filepath.Join(b.profile, fmt.Sprintf("%s-%d.pprof", b.running, b.started)))
	}
	return append(env, b.ownEnv...)
}

// await returns when the server answers path with anything but "not ready".
func (s *server) await(path string) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		select {
		case <-s.exited:
			return s.fail(fmt.Errorf("it ended before it answered %s", path))
		default:
		}
		resp, err := client.Get("http://" + s.addr + path)
		switch {
		case err != nil:
			last = err.Error()
		default:
			_ = resp.Body.Close() // only the status is needed
			if last = resp.Status; resp.StatusCode < 500 {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return s.fail(fmt.Errorf("%s not ready after %s: %s", path, startLimit, last))
}

const helloBody = "Hello, World!"

// helloRequest is nearly the same request as wrk sends.
func (s *server) helloRequest() string {
	return "GET /hello HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n"
}

// probe sends sixteen requests for /hello in one write and checks every answer:
// status, the four fields and the body. It returns the length of one answer.
func (s *server) probe() (size int, err error) {
	conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // all answers have been read
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	const deep = 16
	if _, err := io.WriteString(conn, strings.Repeat(s.helloRequest(), deep)); err != nil {
		return 0, err
	}
	counter := &countingReader{r: conn}
	in := bufio.NewReader(counter)
	for range deep {
		before := counter.n - in.Buffered()
		if err := readHello(in); err != nil {
			return 0, fmt.Errorf("%w: %w", errWrong, err)
		}
		size = counter.n - in.Buffered() - before
	}
	return size, nil
}

// readHello reads and checks one answer to GET /hello.
func readHello(in *bufio.Reader) error {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case resp.StatusCode != http.StatusOK, string(body) != helloBody, media != "text/plain", resp.Close:
		return fmt.Errorf("GET /hello: %s, %q, %q, close %v", resp.Status, media, body, resp.Close)
	case resp.ContentLength != int64(len(helloBody)), resp.Header.Get("Server") == "":
		return fmt.Errorf("GET /hello: heads are not comparable: %v", resp.Header)
	}
	if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
		return fmt.Errorf("GET /hello: %w", err)
	}
	return nil
}

// countingReader counts what is read through it.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
