// Package health answers programs that watch the server: /livez says whether its loop runs, and
// /readyz whether it can work.
package health

import "zamqp/publisher"

func init() {
	publisher.Handle("GET /livez", live, publisher.Monitoring)
	publisher.Handle("GET /readyz", ready, publisher.Monitoring)
}

// live answers as long as the loop runs.
func live(r *publisher.Request) error {
	return r.Text(200, "ok\n")
}

// A Report is the answer of /readyz.
type Report struct {
	Ready    bool               `json:"ready"`
	Draining bool               `json:"draining"`
	Calls    int                `json:"calls"` // calls in progress, this one included
	Parts    []publisher.Status `json:"parts"` // connections, consumers, clocks and so on
}

// ready answers 200 if every part is ready and the server takes calls, else 503.
func ready(r *publisher.Request) error {
	snap := r.Server().Snapshot()
	report := Report{Ready: snap.Ready(), Draining: snap.Draining, Calls: snap.Live, Parts: snap.Parts}
	if !report.Ready {
		return r.Reply(503, report)
	}
	return r.Reply(200, report)
}
