package crash_test

import (
	"testing"

	"zamqp/publisher"
)

// TestPoisonOfTwo: two processes consume the queue, and each is started again
// when it has ended. With a directory each, each knows its own ends only. With
// one directory, who starts first takes over both files, and the other one knows
// nothing: one more can end each time that the poison is counted.
func TestPoisonOfTwo(t *testing.T) {
	for broker, url := range brokers {
		at := url(t)
		for _, data := range [][]string{{"data", "data"}, {"data", "other"}} {
			t.Run(broker+" "+data[1], func(t *testing.T) {
				most := 2
				if data[0] == data[1] {
					most = 3
				}
				s := newSite(t, at, "usual", "data")
				s.connect()
				s.prepare()
				innocent := bodies(60, "innocent %d 30ms")
				s.publish(innocent[:20]...)
				s.publish("poison at once")
				s.publish(innocent[20:]...)
				s.loopAll(most*publisher.RetryCrashes, data, func() bool { return s.count(s.queue+".dead") > 0 && s.handled(innocent) })
				t.Logf("%d ends, %d of %d innocents were handled twice", s.deaths, twice(s.ledger("end")), len(innocent))
				s.empty()
				s.wantDead(1)
			})
		}
	}
}
