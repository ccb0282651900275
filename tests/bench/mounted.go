package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// The paths of our server that http-mounted asks for, besides its own handler of /hello.
const (
	inlineName = "zamqp, publisher.Inline"
	httpName   = "zamqp, publisher.HTTP"
)

// mountedKinds are the contestants of http-mounted and their paths, in order; all others
// are asked for /hello.
var mountedKinds = []struct{ name, path string }{
	{inlineName, "/mounted/inline"},
	{httpName, "/mounted/http"},
	{"zamqp, inside of middleware", "/mounted/middleware"},
	{"zamqp, three of publisher.Use", "/mounted/use"},
	{"zamqp, r.Go twice", "/mounted/go"},
	{"zamqp, r.Await", "/mounted/await"},
	{"zamqp, r.Offload", "/mounted/offload"},
}

// mounted lists our server once for each kind of handler, and net/http.
func mounted(p *programSet) []contestant {
	all := []contestant{{ours, p.zamqpBench, 0}}
	for _, kind := range mountedKinds {
		all = append(all, contestant{kind.name, p.zamqpBench, 0})
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
	path := "/hello"
	for _, kind := range mountedKinds {
		if kind.name == c.name {
			path = kind.path
		}
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
