// Package schedule says when a clock ticks: at each multiple of a period, or by a line
// of cron in a time zone. It has no timer and reads no clock.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // for machines without a zoneinfo directory; about 400 KiB of the binary

	"github.com/robfig/cron/v3"
)

// A Schedule is the list of times of one clock. The zero value has no times.
type Schedule struct {
	period time.Duration
	cron   *cron.SpecSchedule // evaluated in UTC, where clocks never change; nil for a period
	zone   *time.Location
	hourly bool // the line names every hour: it follows the time that passes
}

// Every returns the schedule of the multiples of a period since 1970-01-01 00:00 UTC. They
// are the same in all processes. The period must be positive.
func Every(period time.Duration) Schedule { return Schedule{period: period} }

// parser reads the five fields of cron, and words such as @daily.
var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// allHours are the bits of an hour field that names every hour.
const allHours = 1<<24 - 1

// Cron reads a line of cron. The text of the error is for the person who wrote the line. A
// nil zone is the time zone of the machine.
func Cron(text string, zone *time.Location) (Schedule, error) {
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		return Schedule{}, errors.New(`a time zone does not belong here: set zone`)
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf(`%w: write minute, hour, day of month, month and day of week (Sunday is 0), like "0 3 * * *", or @hourly, @daily, @weekly, @monthly, @yearly`, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, errors.New("@every is no time of day: set period")
	}
	spec.Location = time.UTC
	if zone == nil {
		zone = time.Local
	}
	s := Schedule{cron: spec, zone: zone, hourly: spec.Hour&allHours == allHours}
	if s.Next(time.Unix(0, 0)).IsZero() {
		return Schedule{}, errors.New("there is no such day: it would never tick")
	}
	return s, nil
}

// Zone returns a time zone by its name in the IANA database, such as Europe/Berlin; "" is the
// time zone of the machine.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	return time.LoadLocation(name)
}

// Next returns the first time of the schedule after t. It is zero if there is none within
// five years.
func (s *Schedule) Next(t time.Time) time.Time {
	switch {
	case s.cron != nil:
		return s.nextOfCron(t)
	case s.period > 0:
		past := t.UnixNano() % int64(s.period)
		if past < 0 {
			past += int64(s.period)
		}
		return time.Unix(0, t.UnixNano()-past+int64(s.period))
	}
	return time.Time{}
}

// In returns t in the time zone of the schedule, as Next returns its times.
func (s *Schedule) In(t time.Time) time.Time {
	if s.cron != nil {
		return t.In(s.zone)
	}
	return t.Local()
}

// Passed counts the times of the schedule in (from, to], where from is a time of the
// schedule. last is the last time that was counted, or from. At most most times of a line of
// cron are counted.
func (s *Schedule) Passed(from, to time.Time, most int) (n int, last time.Time) {
	if s.cron == nil && s.period > 0 {
		passed := max(0, to.Sub(from)/s.period)
		return int(passed), from.Add(passed * s.period)
	}
	last = from
	for n < most {
		next := s.Next(last)
		if next.IsZero() || next.After(to) {
			break
		}
		n, last = n+1, next
	}
	return n, last
}

// Steady reports whether the schedule follows the time that passes, and not the hours of a
// wall clock. That is so for a period and for a line of cron that names every hour.
func (s *Schedule) Steady() bool { return s.cron == nil || s.hourly }
