package schedule_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := schedule.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestTimes: the times of a schedule from a time on, as RFC 3339 writes them, at the
// changes of daylight saving and without.
func TestTimes(t *testing.T) {
	for _, row := range []struct {
		name, cron, zone, after string
		want                    string
	}{
		{"plain", "0 3 * * *", "UTC", "2026-11-29T02:00:00Z", "2026-11-29T03:00:00Z 2026-11-30T03:00:00Z"},
		{"strictly after", "0 3 * * *", "UTC", "2026-11-29T03:00:00Z", "2026-11-30T03:00:00Z"},
		{"a word", "@daily", "Asia/Kolkata", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00+05:30"},
		{"29 February", "0 0 29 2 *", "UTC", "2026-11-29T00:00:00Z", "2028-02-29T00:00:00Z"},
		// Berlin goes from 02:00 to 03:00 on 2026-03-29.
		{"before a skipped hour", "30 1 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00+01:00 2026-03-30T01:30:00+02:00"},
		{"in a skipped hour", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			"2026-03-28T02:30:00+01:00 2026-03-29T03:30:00+02:00 2026-03-30T02:30:00+02:00"},
		{"at the beginning of a skipped hour", "0 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"after a skipped hour", "0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-30T03:00:00+02:00"},
		{"in and after a skipped hour", "30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T03:30:00+02:00 2026-03-30T02:30:00+02:00"},
		{"order in a skipped hour", "45 2,3 * * *", "Europe/Berlin", "2026-03-29T01:10:00Z", "2026-03-29T03:45:00+02:00"},
		{"every hour over a skipped one", "30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			"2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00 2026-03-29T04:30:00+02:00"},
		// And from 03:00 back to 02:00 on 2026-10-25.
		{"before a repeated hour", "30 1 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T01:30:00+02:00 2026-10-26T01:30:00+01:00"},
		{"in a repeated hour", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"at the beginning of a repeated hour", "0 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:00:00+02:00 2026-10-26T02:00:00+01:00"},
		{"asked in the second of the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T02:30:00+01:00"},
		{"after a repeated hour", "0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T03:00:00+01:00 2026-10-26T03:00:00+01:00"},
		{"every hour over a repeated one", "30 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z",
			"2026-10-25T01:30:00+02:00 2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"every two hours over a repeated one", "0 */2 * * *", "Europe/Berlin", "2026-10-24T22:30:00Z",
			"2026-10-25T02:00:00+02:00 2026-10-25T04:00:00+01:00"},
		// Half an hour, and midnight itself.
		{"half an hour skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T02:45:00+11:00 2026-10-05T02:15:00+11:00"},
		{"half an hour repeated", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30"},
		{"half an hour, every hour", "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z",
			"2026-04-05T01:45:00+11:00 2026-04-05T01:45:00+10:30 2026-04-05T02:45:00+10:30"},
		{"midnight skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"},
		{"a whole day skipped", "0 12 * * *", "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-29T12:00:00-10:00 2011-12-31T12:00:00+14:00 2012-01-01T12:00:00+14:00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := schedule.Cron(row.cron, zone(t, row.zone))
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, row.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range strings.Fields(row.want) {
				at = s.Next(at)
				if got := at.Format(time.RFC3339); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		})
	}
}

// TestEachDayOnce: over four years of changes, a line that names a minute of the day
// ticks once for each day, in order, whatever the zone.
func TestEachDayOnce(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran"} {
		z := zone(t, name)
		for _, cron := range []string{"0 0 * * *", "30 1 * * *", "30 2 * * *"} {
			s, err := schedule.Cron(cron, z)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2015, 1, 1, 12, 0, 0, 0, z)
			for day := time.Date(2015, 1, 2, 0, 0, 0, 0, time.UTC); day.Year() < 2019; day = day.AddDate(0, 0, 1) {
				next := s.Next(at)
				if y, m, d := next.Date(); !next.After(at) || y != day.Year() || m != day.Month() || d != day.Day() {
					t.Fatalf("%s in %s: after %s comes %s, want a time on %s", cron, name, at, next, day.Format(time.DateOnly))
				}
				at = next
			}
		}
	}
}

func TestPeriod(t *testing.T) {
	s := schedule.Every(10 * time.Second)
	at := time.Date(2026, 11, 29, 6, 0, 3, 5, time.UTC)
	for range 3 {
		next := s.Next(at)
		if next.Unix()%10 != 0 || next.Nanosecond() != 0 || !next.After(at) || next.Sub(at) > 10*time.Second {
			t.Fatalf("%s after %s", next, at)
		}
		at = next
	}
	if got := s.Next(time.Unix(-3, 0)); got.Unix() != 0 {
		t.Errorf("before 1970: %s", got)
	}
}

func TestPassed(t *testing.T) {
	cron, err := schedule.Cron("* * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Unix(600, 0)
	for _, row := range []struct {
		name    string
		s       schedule.Schedule
		seconds int64
		n       int
		last    int64
	}{
		{"period, none", schedule.Every(time.Minute), 659, 0, 600},
		{"period, now", schedule.Every(time.Minute), 660, 1, 660},
		{"period, more than most", schedule.Every(time.Minute), 600 + 60*500, 500, 600 + 60*500},
		{"period, the clock was set back", schedule.Every(time.Minute), 0, 0, 600},
		{"cron, none", cron, 659, 0, 600},
		{"cron, three", cron, 799, 3, 780},
		{"cron, more than most", cron, 600 + 60*500, 100, 600 + 60*100},
	} {
		if n, last := row.s.Passed(from, time.Unix(row.seconds, 0), 100); n != row.n || last.Unix() != row.last {
			t.Errorf("%s: %d, %d", row.name, n, last.Unix())
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "write minute",
		"0 3 * *":             "write minute",
		"0 3 * * * *":         "write minute",
		"60 3 * * *":          "above maximum",
		"0 3 * * 7":           "Sunday is 0",
		"@every 10s":          "set period",
		"@never":              "@hourly",
		"TZ=Europe/Berlin":    "set zone",
		"CRON_TZ=x 0 3 * * *": "set zone",
		"0 0 30 2 *":          "never tick",
	} {
		if _, err := schedule.Cron(text, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := schedule.Zone("Europe/Nowhere"); err == nil {
		t.Error("a zone that does not exist went through")
	}
}

func TestNoAllocations(t *testing.T) {
	s, err := schedule.Cron("30 2 * * *", zone(t, "Europe/Berlin"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(300, func() { at = s.Next(at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCron: a line that is taken has a next time after any time, in any zone, and the
// one after it is later.
func FuzzCron(f *testing.F) {
	for _, text := range []string{"0 3 * * *", "*/15 0-6 1,15 JAN-MAR mon", "@weekly", "30 2 29 2 *", "TZ=", "1-0/0 * * * *"} {
		f.Add(text, "Europe/Berlin", int64(1_774_746_000))
	}
	f.Fuzz(func(t *testing.T, text, name string, at int64) {
		z, err := schedule.Zone(name)
		if err != nil || at < 0 || at > 4e9 {
			return
		}
		s, err := schedule.Cron(text, z)
		if err != nil {
			return
		}
		first := s.Next(time.Unix(at, 0))
		if first.IsZero() {
			return // 29 February around 2100
		}
		if second := s.Next(first); first.Unix() <= at || !second.IsZero() && !second.After(first) {
			t.Errorf("%q in %s: %s and %s after %d", text, name, first, second, at)
		}
	})
}
