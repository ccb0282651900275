package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const brokerScript = "tests/kit/rabbitmq/rabbitmq"

// brokerDir is the directory of this run's node; empty without one.
var brokerDir string

// brokerUsers are the steps whose tests use RabbitMQ.
var brokerUsers = []string{"unit", "race", "loopdebug", "interop", "brokers", "amqp091"}

// broker starts one RabbitMQ node for all steps that use one, and returns a
// function that stops it. If the environment names a broker, that one is used.
func broker(chosen []step) (stop func()) {
	needed := slices.ContainsFunc(chosen, func(s step) bool { return slices.Contains(brokerUsers, s.name) })
	if !needed || os.Getenv("ZAMQP_TEST_AMQP_URL") != "" {
		return func() {}
	}
	dir, err := os.MkdirTemp("", "zamqp-testrun-")
	if err != nil {
		return func() {}
	}
	cmd := exec.Command("bash", brokerScript, "start", "-for", fmt.Sprint(os.Getpid()), "-rm", dir)
	cmd.Stderr = os.Stderr
	url, err := cmd.Output() // the URL is all of its standard output
	if err != nil {
		fmt.Println("      no RabbitMQ node could be started; tests that need one are skipped:", err)
		_ = os.RemoveAll(dir)
		return func() {}
	}
	brokerDir = dir
	_ = os.Setenv("ZAMQP_TEST_AMQP_URL", strings.TrimSpace(string(url)))
	_ = os.Setenv("ZAMQP_TEST_RABBITMQ_DIR", dir)
	return func() {
		_, _ = command(".", nil, "bash", brokerScript, "stop", dir)
		_ = os.RemoveAll(dir)
	}
}

// freshBroker removes what an earlier step has left in our node: the same tests run
// in several steps, and each may expect an empty broker.
func freshBroker(s step) error {
	if brokerDir == "" || !slices.Contains(brokerUsers, s.name) {
		return nil
	}
	if out, err := command(".", nil, "bash", brokerScript, "reset", brokerDir); err != nil {
		return fmt.Errorf("rabbitmq reset: %w: %s", err, out)
	}
	return nil
}
