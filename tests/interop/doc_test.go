// Package interop_test runs the built server as its users run it: against a
// real RabbitMQ, with clients that other people wrote (pika, amqp091-go,
// streadway/amqp, net/http), and in trouble: signals, a broker that dies, bytes
// that make no sense.
//
// The broker is one of our own (tests/kit/rabbitmq), or the one that
// ZAMQP_TEST_AMQP_URL names.
package interop_test

import (
	"flag"
	"os"
	"testing"
)

var messages = flag.Int("messages", 10_000, "messages for each client, and orders, in TestEverythingAtOnce")

// scratch is removed when all tests are over; the binary lies in it.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "zamqp-interop-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
