package guide_test

import (
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/config"
	"zamqp/publisher/publishertest"
)

// Report is what the page publishes.
type Report struct{ Day string }

func refresh(*publisher.Request) error { return nil }

func init() {
	publisher.Every("refresh", publisher.Clock{Period: 10 * time.Second}, refresh)
	publisher.Every("report", publisher.Clock{Cron: "0 3 * * *", Zone: "Europe/Berlin"}, report)
	publisher.Produce("reports", publisher.Producer{Queue: "reports"})
}

func report(r *publisher.Request) error {
	day := r.Scheduled().AddDate(0, 0, -1).Format(time.DateOnly)
	r.Publish("reports", Report{Day: day}, publisher.MessageID("report-"+day))
	return nil // the message leaves now; with an error nothing does
}

func TestReport(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	s.SetNow(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	s.Advance(3 * time.Hour) // 03:00 in Berlin is 02:00 UTC
	if got := s.Published(); len(got) != 1 || got[0].MessageId != "report-2026-11-28" {
		t.Errorf("%+v", got)
	}
	if got := s.Tick("refresh"); got.Err != nil { // one tick, now
		t.Error(got.Err)
	}
}

// TestClockSettings: the page's lines of configuration are taken.
func TestClockSettings(t *testing.T) {
	s, err := config.Load(config.Sources{Options: []string{`clock.report.cron=30 4 * * 1-5`, "clock.report.zone=Europe/Berlin", "clock.report.timeout=10m"},
		Environ: []string{"ZAMQP_CLOCK__REFRESH__ENABLED=false"}}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Resolve(s, publisher.Default); err != nil {
		t.Fatal(err)
	}
	if got := s.Clocks["report"].String(); got != "at 30 4 * * 1-5 in Europe/Berlin; timeout 10m0s" || !s.Clocks["refresh"].Disabled {
		t.Errorf("%s, %+v", got, s.Clocks["refresh"])
	}
}
