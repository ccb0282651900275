package schedule

import "time"

// A line of cron has to deal with changes of a zone's clocks, such as daylight saving. The
// library evaluates the line on a wall clock that never changes. The time between two
// changes, a stretch, has such a clock: UTC, shifted by the stretch's offset.
//
// A line that names certain hours ticks once for each wall clock time that it names, by the
// rule of RFC 5545 §3.3.5: a time that the clocks skip is taken with the offset from before
// the change (02:30 becomes 03:30), and of a time that comes twice the first one counts.
//
// A line that names every hour, such as */15 * * * *, follows the time that passes. It ticks
// in the repeated hour, too, and makes up for nothing in a skipped hour.

// stretch is a time between two changes of a zone's clocks.
type stretch struct {
	start, end time.Time     // zero if it has no start or no end
	offset     time.Duration // of the stretch's wall clock from UTC
	before     time.Duration // the offset of the stretch before it
}

func stretchAt(t time.Time, zone *time.Location) stretch {
	t = t.In(zone)
	start, end := t.ZoneBounds()
	_, offset := t.Zone()
	s := stretch{start: start, end: end, offset: seconds(offset), before: seconds(offset)}
	if !start.IsZero() {
		_, before := start.Add(-1).In(zone).Zone()
		s.before = seconds(before)
	}
	return s
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// stretchesMax is more than the number of changes of a zone in the five years that the
// library looks ahead.
const stretchesMax = 100

func (s *Schedule) nextOfCron(t time.Time) time.Time {
	in := stretchAt(t, s.zone)
	for range stretchesMax {
		next := s.nextIn(&in, t)
		if !next.IsZero() && (in.end.IsZero() || next.Before(in.end)) {
			return next.In(s.zone)
		}
		if in.end.IsZero() {
			break
		}
		t = in.end.Add(-1) // the change itself may be a time of the schedule
		in = stretchAt(in.end, s.zone)
	}
	return time.Time{}
}

// nextIn returns the first time after t by the wall clock of a stretch. It may be later than
// the stretch's end. It is zero if there is none.
func (s *Schedule) nextIn(in *stretch, t time.Time) time.Time {
	from := t
	shift := in.offset - in.before
	if repeated := in.start.Add(-shift); !s.hourly && shift < 0 && from.Before(repeated) {
		from = repeated.Add(-1) // these wall clock times were there before the change
	}
	next := s.onWall(from, in.offset)
	if s.hourly || shift <= 0 || in.start.IsZero() {
		return next
	}
	// Now the wall clock times that were skipped.
	skipped := s.onWall(later(t, in.start.Add(-1)), in.before)
	if skipped.IsZero() || !skipped.Before(in.start.Add(shift)) || !next.IsZero() && next.Before(skipped) {
		return next
	}
	return skipped
}

// onWall returns the first time after t by a wall clock with this offset from UTC.
func (s *Schedule) onWall(t time.Time, offset time.Duration) time.Time {
	next := s.cron.Next(t.UTC().Add(offset))
	if next.IsZero() {
		return next
	}
	return next.Add(-offset)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
