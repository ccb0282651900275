package doortest

import (
	"strings"

	"zamqp/publisher"
)

// Call is an HTTP request to a process.
type Call struct {
	Body   string
	Over   bool
	Status int
	Err    error
}

// Call makes a request; target is "METHOD /path".
func (p *Process) Call(target, body string) *Call {
	method, path, _ := strings.Cut(target, " ")
	r := p.Server.NewCall()
	r.SetHTTP([]byte(method), []byte(path), []byte("localhost"), nil, nil)
	r.AppendBody([]byte(body))
	c := &Call{Body: body}
	p.Calls = append(p.Calls, c)
	p.Server.Dispatch(r, c)
	return c
}

// Done makes Call the door of its own request.
func (c *Call) Done(r *publisher.Call) {
	c.Over, c.Status, c.Err = true, r.Response().Status, r.Outcome().Err
}
