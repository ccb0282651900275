package differential_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

// known are broken octets and handshakes that the brokers answer differently, on purpose or
// because RabbitMQ's answer is an accident. docs/guide/broker-differences.md has the reasons.
// Random programs leave them out.
var known = map[string]bool{
	// The peer learns what it did; RabbitMQ hangs up, in a handshake after three
	// seconds of silence.
	"frame-oversize": true, "table-key-cut": true, "unknown-class": true, "unknown-method": true,
	"bad-frame-early": true, "channel-before-open": true, "channel-max-large": true, "close-early": true, "frame-max-large": true,
	"frame-max-none": true, "frame-max-small": true, "frame-over-minimum-early": true, "open-at-start": true, "plain-malformed": true,
	"tune-ok-early": true, "unknown-mechanism": true, "unknown-vhost": true,
	// Refused at once, where RabbitMQ waits for the rest of the content.
	"body-too-large": true, "get-ok-from-client": true,
	// Numbers, where RabbitMQ counts channels.
	"channel-over-max": true,
	// Another code for the same: 501 and not 505.
	"header-weight": true, "heartbeat-channel": true,
	// What RabbitMQ took over from AMQP 0-8 and 0-9.
	"access-request": true, "amqp-0-8": true, "amqp-0-9": true,
}

// knownLater are those that only RabbitMQ 4 answers differently: to a client of
// another protocol it offers AMQP 1.0, which it has and we do not.
var knownLater = map[string]bool{"amqp-1-0": true, "amqp-sasl": true, "http": true}

// alike are the names of a table without the known differences.
func alike[V any](m map[string]V) []string {
	return slices.DeleteFunc(names(m), func(name string) bool { return known[name] })
}

// TestWire sends each kind of broken octets, and begins a connection in each
// way, once.
func TestWire(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ")
	}
	node := reference(t)
	later := node.AtLeast(t, "4.0")
	p := pairs(t, node)[0]
	check := func(do, kind string) {
		t.Run(do+"/"+kind, func(t *testing.T) {
			program := []*operation{
				{do: "queue.declare", channel: 1, queue: "@q1"},
				{do: do, channel: 1, kind: kind},
				{do: "publish", channel: 1, key: "@q1", size: 10},
			}
			if do == "handshake" {
				program = program[1:2]
			}
			left, right := p.both(program, false)
			known := known[kind] || later && knownLater[kind]
			same := left.equal(right)
			if !same && !known { // RabbitMQ's processes race with each other: it may be slow to show what it has
				left, right, _ = p.differs(program, racesMax)
				same = left.equal(right)
			}
			if same && known {
				t.Errorf("%s is the same on both brokers now; take it off the list and out of the documentation:\n%v", kind, left)
			} else if !same && !known {
				t.Errorf("\n%s", beside(p.reference.name, p.subject.name, left, right))
			}
		})
	}
	for _, kind := range names(broken) {
		check("raw", kind)
	}
	for _, kind := range names(handshakes) {
		check("handshake", kind)
	}
}

// TestKnownDifferencesAreDocumented holds the list and the page together.
func TestKnownDifferencesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/broker-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if !bytes.Contains(page, []byte("| "+c.since+" | "+c.what+" |")) {
			t.Errorf("docs/guide/broker-differences.md does not tell that since %s %s", c.since, c.what)
		}
	}
	for name := range known {
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/guide/broker-differences.md does not tell of %s", name)
		}
		_, octets := broken[name]
		if _, handshake := handshakes[name]; !octets && !handshake {
			t.Errorf("nothing is called %s any more", name)
		}
	}
}
