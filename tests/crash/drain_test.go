package crash_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDrainsAreNoEvidence: servers are stopped cleanly, again and again, while messages wait
// behind a slow one. A quorum queue counts returned messages: by closing the channel in all
// versions, and by basic.nack before 4.3. The messages have not caused that.
func TestDrainsAreNoEvidence(t *testing.T) {
	for broker, url := range brokers {
		at := url(t)
		for _, consumer := range []string{"turns", "line"} {
			for _, data := range []string{"data", ""} {
				if consumer == "line" && data != "" {
					continue
				}
				t.Run(broker+" "+consumer+" "+data, func(t *testing.T) {
					s := newSite(t, at, consumer, data)
					s.connect()
					s.prepare()
					all := bodies(30, "m%d 50ms")
					s.publish(all...)
					for drain := range 4 {
						p := s.start()
						s.eventually("some are begun", func() bool { return len(s.ledger("begin")) > drain })
						p.stop()
					}
					p := s.start()
					s.eventually("all are handled", func() bool { return s.handled(all) })
					p.stop()
					// basic.nack, as of a consumer that is not the only one, puts a message at the
					// end of a quorum queue of RabbitMQ 3.10.
					if got := s.begun(); consumer == "turns" && !slices.Equal(got, all) || len(got) != len(all) {
						t.Errorf("begun: %v", got)
					}
					if dead := s.drain(s.queue + ".dead"); len(dead) > 0 {
						t.Errorf("%d are dead; the first is %s %v", len(dead), dead[0].Body, dead[0].Headers)
					}
					if n := s.isolated(); n > 0 {
						t.Errorf("%d were quarantined", n)
					}
				})
			}
		}
	}
}

// begun are the bodies in the order in which they were begun.
func (s *site) begun() (all []string) {
	b, _ := os.ReadFile(filepath.Join(s.dir, "ledger"))
	for line := range strings.Lines(string(b)) {
		if body, ok := strings.CutPrefix(line, "begin "); ok {
			all = append(all, strings.TrimSuffix(body, "\n"))
		}
	}
	return all
}
