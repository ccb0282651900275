// Package health answers programs that watch the server: is it alive, has it started, can it
// work.
package health

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("GET /livez", live, publisher.Monitoring)
	publisher.Handle("GET /startupz", started, publisher.Monitoring)
	publisher.Handle("GET /readyz", ready, publisher.Monitoring)
}

// live answers as long as the loop runs.
func live(r *publisher.Request) error {
	return r.Text(200, "ok\n")
}

// A Report is the answer of /readyz and /startupz.
type Report struct {
	Ready    bool               `json:"ready"`
	Started  bool               `json:"started"` // it has been ready
	Draining bool               `json:"draining"`
	Calls    int                `json:"calls"` // calls in progress, this one included
	Parts    []publisher.Status `json:"parts"` // connections, consumers, clocks, spools and so on
}

func reportOf(r *publisher.Request) Report {
	snap := r.Server().Snapshot()
	return Report{Ready: snap.Ready(), Started: snap.Started, Draining: snap.Draining, Calls: snap.Live, Parts: snap.Parts}
}

// ready answers 200 if every part works, else 503.
func ready(r *publisher.Request) error {
	report := reportOf(r)
	return report.answer(r, report.Ready, "ready")
}

// started answers 200 from the moment on at which every part has worked, else 503.
func started(r *publisher.Request) error {
	report := reportOf(r)
	return report.answer(r, report.Started, "started")
}

// answer sends the report in JSON, or as lines of text for ?verbose.
func (report *Report) answer(r *publisher.Request, well bool, word string) error {
	status := http.StatusOK
	if !well {
		status = http.StatusServiceUnavailable
	}
	if !asksForText(r) {
		return r.Reply(status, report)
	}
	return r.Text(status, report.text(well, word))
}

// asksForText reports whether the query has verbose, and the client does not ask for JSON.
func asksForText(r *publisher.Request) bool {
	return r.Query().Has("verbose") && !strings.Contains(r.Header("Accept"), "json")
}

// text lists the parts in the manner of Kubernetes: [+] works, [-] does not.
func (report *Report) text(well bool, word string) string {
	var b strings.Builder
	for i := range report.Parts {
		p := &report.Parts[i]
		mark := '+'
		if !p.Ready {
			mark = '-'
		}
		fmt.Fprintf(&b, "[%c]%s %s: %s", mark, p.Kind, p.Name, cmp.Or(p.State, "ok"))
		if p.Detail != "" {
			fmt.Fprintf(&b, ": %s", strings.Join(strings.Fields(p.Detail), " "))
		}
		b.WriteByte('\n')
	}
	if report.Draining {
		b.WriteString("[-]server: it drains\n")
	}
	if !well {
		word = "not " + word
	}
	b.WriteString(word + "\n")
	return b.String()
}
