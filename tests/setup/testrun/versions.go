package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// versions of RabbitMQ with which the server is tested: those of Debian's bookworm,
// trixie and sid.
var versions = []string{"3.10", "4.0", "4.3"}

// suites are the tests that run with each version.
var suites = []step{
	{name: "client", what: "the client machine; a cluster that loses a node", run: func() *outcome {
		return goTest(".", []string{"ZAMQP_TEST_LONG=1"}, "-timeout", "20m", "./amqpproto/client")
	}},
	{name: "commands", what: "publish, call, tap, dead and check; TLS", run: func() *outcome { return goTest(".", nil, "-timeout", "10m", "./publisher/command") }},
	{name: "e2e", what: "the server in the test's own process", run: func() *outcome { return goTest(".", nil, "-timeout", "10m", "./tests/e2e") }},
	{name: "spool", what: "publishes on disk", run: func() *outcome { return goTest(".", nil, "-timeout", "15m", "./tests/spool") }},
	{name: "crash", what: "processes that end with messages in hand", run: crash},
	{name: "interop", what: "the built binary with other people's clients", run: interop},
	{name: "differential", what: "random programs on RabbitMQ and on the embedded broker", run: func() *outcome {
		return goTest(".", nil, "-timeout", "20m", "./tests/differential", "-programs", "500")
	}},
	{name: "chaos", what: "the short form of the rig, and a bad network", run: chaos},
}

// crash starts its own brokers, because some of its tests kill them.
func crash() *outcome { return goTest(".", nil, "-timeout", "15m", "./tests/crash") }

// runVersions runs the suites with the given versions, or with "all", and prints a
// table.
func runVersions(asked, only string) (code int) {
	began := time.Now()
	chosen := strings.Split(asked, ",")
	if asked == "all" {
		chosen = versions
	}
	var columns [][]string
	var words strings.Builder
	for _, v := range chosen {
		column, failed := runVersion(v, only, &words)
		columns = append(columns, column)
		if failed {
			code = 1
		}
	}
	fmt.Print(words.String())
	fmt.Printf("\n%.0f s in all; passed, failed, skipped:\n\n%s", time.Since(began).Seconds(), table(chosen, only, columns))
	return code
}

// runVersion runs the suites with one version and returns a cell for each. It adds
// to words what is printed below the table: why something was skipped.
func runVersion(version, only string, words *strings.Builder) (column []string, failed bool) {
	_ = os.Setenv("ZAMQP_TEST_RABBITMQ", version)
	_ = os.Unsetenv("ZAMQP_TEST_AMQP_URL")
	_ = os.Unsetenv("ZAMQP_TEST_RABBITMQ_DIR")
	// It is fetched first, because that takes minutes, and no test waits so long.
	if out, err := command(".", nil, "bash", brokerScript, "fetch", version); err != nil {
		fmt.Fprintf(words, "RabbitMQ %s is skipped: %s", version, out)
		return nil, false
	}
	stop := broker([]step{{name: "interop"}})
	defer stop()
	for _, s := range suites {
		if !runs(s, only) {
			continue
		}
		if err := freshBroker(step{name: "interop"}); err != nil {
			fmt.Fprintln(words, err)
		}
		t := time.Now()
		o := s.run()
		cell := fmt.Sprintf("%d %d %d", o.passed, o.failed, o.skipped)
		fmt.Printf("RabbitMQ %-5s %-13s %6.1f s  %s\n", version, s.name, time.Since(t).Seconds(), cell)
		column = append(column, cell)
		failed = failed || o.failed > 0
		if o.failed > 0 {
			fmt.Print(indent(o.report.String()))
		}
		for _, n := range o.notes {
			fmt.Fprintf(words, "RabbitMQ %s, %s: %s\n", version, s.name, n)
		}
	}
	return column, failed
}

func runs(s step, only string) bool {
	return only == "" || slices.Contains(strings.Split(only, ","), s.name)
}

// table returns a line for each suite and a column for each version.
func table(chosen []string, only string, columns [][]string) string {
	var b strings.Builder
	line := func(name string, cells []string) {
		fmt.Fprintf(&b, "%-13s", name)
		for _, c := range cells {
			fmt.Fprintf(&b, "  %-14s", c)
		}
		b.WriteString("\n")
	}
	line("RabbitMQ", chosen)
	row := 0
	for _, s := range suites {
		if !runs(s, only) {
			continue
		}
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = "-"
			if row < len(c) {
				cells[i] = c[row]
			}
		}
		line(s.name, cells)
		row++
	}
	return b.String()
}
