// Package plan is what the rig and the handlers under test have agreed on: queues,
// the shape of a message, and which messages fail.
package plan

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"zamqp/tests/chaos/ledger"
)

// The queues of a run.
const (
	Lane = "lane" // the messages of a key in order; its handler publishes each to Next
	Free = "free" // a slow handler without order, so that a backlog builds up
	Post = "post" // the server itself publishes to it, for HTTP requests
	Next = "next" // the handler of Lane publishes to it
)

// Queues has the prefetch and the promises of each queue.
var Queues = map[string]ledger.Queue{
	Lane: {Prefetch: 20, Ordered: true},
	Free: {Prefetch: 10, Refused: Refused},
	Post: {Prefetch: 50},
	Next: {Prefetch: 50, From: Lane},
}

// FreeTakes is how long the handler of Free sleeps: with its prefetch, it handles
// at most 500 messages a second.
const FreeTakes = 20 * time.Millisecond

// Refused says which messages the handler of Free refuses for good.
func Refused(id ledger.ID) bool { return id.Queue == Free && id.Seq%997 == 13 }

// Fails says which messages the handler of Free fails once.
func Fails(id ledger.ID) bool { return id.Queue == Free && id.Seq%101 == 7 }

// Probe is the body of messages that only test whether a queue takes them.
const Probe = "probe"

// size is the approximate size of a message.
const size = 200

// Body returns the body of the message with this id.
func Body(id ledger.ID) []byte {
	b := fmt.Appendf(nil, "%s %d ", id.Key, id.Seq)
	return append(b, bytes.Repeat([]byte{'x'}, max(0, size-len(b)))...)
}

// Parse reads the id of a message of queue from its body.
func Parse(queue string, body []byte) (ledger.ID, bool) {
	f := bytes.SplitN(body, []byte{' '}, 3)
	if len(f) != 3 {
		return ledger.ID{}, false
	}
	seq, err := strconv.Atoi(string(f[1]))
	return ledger.ID{Queue: queue, Key: string(f[0]), Seq: seq}, err == nil
}

// The environment of the server under test.
const (
	LedgerEnv = "CHAOS_LEDGER" // the ledger that its handlers write
	BugEnv    = "CHAOS_BUG"    // a bug for the rig to find
)

// The bugs that can be seeded. They are in the handlers: the rig sees the same as
// if the server had lost or repeated a message.
const (
	BugLose    = "lose"    // a message is acked and not handled
	BugRepeat  = "repeat"  // a message is handled twice
	BugReorder = "reorder" // a message of a lane is handled after the next one
	BugBury    = "bury"    // a message is given up that no handler has seen
	BugSlow    = "slow"    // a new process is slow to serve
)
