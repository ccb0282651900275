// Package hello answers HTTP and AMQP with one function each. Copy it to begin a
// handler package of your own.
package hello

import "zamqp/publisher"

func init() {
	publisher.Handle("GET /hello", hello)
	publisher.Consume("hello", publisher.Consumer{Queue: "zamqp-demo.hello"}, echo)
}

// hello answers an HTTP request.
func hello(r *publisher.Request) error {
	return r.Text(200, "Hello, World!")
}

// echo answers a message at its reply_to, with the same body, content type and
// headers. The server adds the correlation id.
func echo(r *publisher.Request) error {
	r.EchoHeaders()
	return r.Bytes(200, string(r.ContentType()), r.Body())
}
