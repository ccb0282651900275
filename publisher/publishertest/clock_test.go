package publishertest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// TestAdvance: clocks tick in order, calls that sleep go on, and each publishes when it
// commits.
func TestAdvance(t *testing.T) {
	g := publisher.NewRegistry()
	g.Produce("log", publisher.Producer{Queue: "log", Codec: "text"})
	g.Every("minute", publisher.Clock{Period: time.Minute}, func(r *publisher.Request) error {
		r.Publish("log", "minute "+r.Scheduled().UTC().Format("15:04"))
		return nil
	})
	g.Every("slow", publisher.Clock{Period: 2 * time.Minute}, func(r *publisher.Request) error {
		if err := r.Sleep(90 * time.Second); err != nil {
			return err
		}
		r.Publish("log", "slow")
		return nil
	})
	g.Handle("GET /sleep", func(r *publisher.Request) error { return r.Sleep(2 * time.Minute) })
	s := publishertest.New(t, g)
	published := func() string {
		var all []string
		for _, p := range s.Published() {
			all = append(all, string(p.Body))
		}
		return strings.Join(all, ", ")
	}
	s.SetNow(time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC))
	if s.Advance(59 * time.Second); published() != "" {
		t.Error("too early")
	}
	s.Advance(3 * time.Minute)
	if got := published(); got != "minute 06:01, minute 06:02, minute 06:03, slow" {
		t.Error(got)
	}
	if got := s.Request("GET", "/sleep", "", ""); got.Status != 204 { // time passes for the clocks, too
		t.Errorf("%+v", got)
	}
	if got := published(); got != "minute 06:04, minute 06:05, slow" {
		t.Error(got)
	}
	if !s.Now().Equal(time.Date(2026, 11, 29, 6, 5, 59, 0, time.UTC)) {
		t.Errorf("%s", s.Now())
	}
}

// TestTick: one call, as often as the test wants it; also of a mounted handler.
func TestTick(t *testing.T) {
	fail := errors.New("no luck")
	g := publisher.NewRegistry()
	g.Every("off", publisher.Clock{Cron: "@daily", Disabled: true}, func(*publisher.Request) error { return fail })
	var seen string
	g.Every("mounted", publisher.Clock{Period: time.Hour}, publisher.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = fmt.Sprint(r.Method, " ", r.URL.Path, " ", publisher.FromContext(r.Context()).Scheduled().IsZero())
	})))
	s := publishertest.New(t, g)
	if got := s.Tick("off"); !errors.Is(got.Err, fail) {
		t.Errorf("%+v", got)
	}
	fail = nil
	if got := s.Tick("off"); got.Err != nil {
		t.Errorf("%+v", got)
	}
	if got := s.Tick("mounted"); got.Err != nil || seen != "CLOCK /mounted false" {
		t.Errorf("%+v, %s", got, seen)
	}
}

// TestSetLeader: a clock with a leader ticks only there. A new leader makes the last of the
// missed ticks. While a process is not the leader, it counts no missed ticks.
func TestSetLeader(t *testing.T) {
	for _, dedupe := range []bool{false, true} {
		t.Run(fmt.Sprintf("dedupe=%v", dedupe), func(t *testing.T) {
			g := publisher.NewRegistry()
			g.Produce("log", publisher.Producer{Queue: "log", Codec: "text"})
			g.Every("minute", publisher.Clock{Period: time.Minute, Leader: "default", Dedupe: dedupe}, func(r *publisher.Request) error {
				r.Publish("log", r.Scheduled().UTC().Format("15:04"))
				return r.Sleep(10 * time.Second)
			})
			s := publishertest.New(t, g)
			s.SetNow(time.Date(2026, 11, 29, 6, 0, 30, 0, time.UTC))
			ticked := func(after time.Duration, want string) {
				t.Helper()
				s.Advance(after)
				all := ""
				for _, p := range s.Published() {
					all += string(p.Body) + " "
				}
				if all != want {
					t.Errorf("%s, want %s", all, want)
				}
			}
			ticked(2*time.Minute, "06:01 06:02 ")
			s.SetLeader("minute", false)
			ticked(5*time.Minute, "")
			s.SetLeader("minute", true)
			ticked(15*time.Second, "06:07 ")
			ticked(20*time.Second, "")   // 06:08:05: it has begun
			s.SetLeader("minute", false) // before it is over
			ticked(6*time.Second, "06:08 ")
			s.SetLeader("minute", true)
			want := "06:08 "
			if dedupe {
				want = ""
			}
			ticked(20*time.Second, want)
		})
	}
}
