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
	kills := 3
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		kills = 27
	}
	next := 0
	for _, database := range []string{"sqlite", "postgres"} {
		for _, broker := range []string{"embedded", "rabbitmq"} {
			for _, processes := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s/%s/%d", database, broker, processes), func(t *testing.T) {
					r := newRig(t, database, broker)
					mark := func() string {
						next++
						return fmt.Sprintf("%s:%d", moments[next%len(moments)], 1+rand.IntN(15))
					}
					for range processes {
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
	}
}
