// Package crash_test kills servers at marked moments, with rows, messages and effects under way,
// and compares what is left.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// moments are where a server is killed: crashpoint.At in the server, and in the handlers of
// crashd.
var moments = []string{
	"handler",       // in the handler
	"prepared",      // between prepare, the rows of the outbox included, and the commit of SQL
	"committed",     // between the commit of SQL and the publishes
	"published",     // a publish is in the output, and not written
	"confirmed",     // the confirm has come, and the call goes on
	"row published", // as published, for a row of the outbox
	"row confirmed", // the broker has the row's message, and the row is still there
	"ack",           // between the commit and the ack
	"acked",         // the ack is in the output, and not written
}

// TestKilledAtEachMoment: whatever is killed when, each message that was confirmed has its effect, each
// effect has its message, and no effect happens twice.
func TestKilledAtEachMoment(t *testing.T) {
	kills, long := 5, os.Getenv("ZAMQP_TEST_LONG") != ""
	if long {
		kills = 27
	}
	next := 0
	mark := func() string {
		next++
		return fmt.Sprintf("%s:%d", moments[next%len(moments)], 1+rand.IntN(15))
	}
	for _, c := range []struct {
		database, broker string
		processes        int
		long             bool // only in the long form
	}{
		{"sqlite", "embedded", 1, false},
		{"sqlite", "rabbitmq", 2, false},
		{"postgres", "embedded", 2, false},
		{"postgres", "rabbitmq", 1, false},
		{"sqlite", "embedded", 2, true},
		{"sqlite", "rabbitmq", 1, true},
		{"postgres", "embedded", 1, true},
		{"postgres", "rabbitmq", 2, true},
	} {
		if c.long && !long {
			continue
		}
		t.Run(fmt.Sprintf("%s/%s/%d", c.database, c.broker, c.processes), func(t *testing.T) {
			r := newRig(t, c.database, c.broker)
			for range c.processes {
				r.start(mark())
			}
			r.work()
			for range kills {
				r.awaitDeath()
				r.start(mark())
			}
			r.rest()
			r.compare()
		})
	}
}
