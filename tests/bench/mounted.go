package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// What http-mounted asks our server for, besides its own handler of /hello.
const (
	inlineName = "zamqp, publisher.Inline"
	httpName   = "zamqp, publisher.HTTP"
)

// mountedPaths are the paths of the contestants of http-mounted; all others are asked
// for /hello.
var mountedPaths = map[string]string{
	inlineName:                    "/mounted/inline",
	httpName:                      "/mounted/http",
	"zamqp, inside of middleware": "/mounted/middleware",
	"zamqp, r.Go twice":           "/mounted/go",
	"zamqp, r.Await":              "/mounted/await",
	"zamqp, r.Offload":            "/mounted/offload",
}

// mountedOrder is the order of the contestants.
var mountedOrder = []string{inlineName, httpName, "zamqp, inside of middleware", "zamqp, r.Go twice", "zamqp, r.Await", "zamqp, r.Offload"}

// mounted lists our server once for each kind of handler, and net/http.
func mounted(p *programSet) []contestant {
	all := []contestant{{ours, p.zamqpBench, 0}}
	for _, name := range mountedOrder {
		all = append(all, contestant{name, p.zamqpBench, 0})
	}
	return append(all, goCores("net/http", p.nethttp)...)
}

// httpMounted measures one kind of handler.
func httpMounted(b *bench, c contestant) (sample, error) {
	s, err := b.startServer(c)
	if err != nil {
		return sample{}, err
	}
	defer s.stop()
	path := mountedPaths[c.name]
	if path == "" {
		path = "/hello"
	}
	if err := s.says(path, "Hello, World!"); err != nil {
		return sample{}, err
	}
	got, _, err := b.load(s, path, "report.lua", nil)
	if err != nil {
		return sample{}, err
	}
	return got, s.says(path, "Hello, World!")
}

// says checks what the server answers.
func (s *server) says(path, want string) error {
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + s.addr + path)
	if err != nil {
		return s.fail(err)
	}
	defer func() { _ = answer.Body.Close() }() // it is read
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || string(body) != want {
		return fmt.Errorf("%w: %s answers %s %q %v", errWrong, path, answer.Status, body, err)
	}
	return nil
}
