package pickle

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// datetimeOf returns a datetime as a time.Time. Without a time zone it is taken as UTC.
func datetimeOf(o *pyObject) (any, error) {
	if len(o.args) == 0 || len(o.args) > 2 {
		return nil, badObject(o)
	}
	b, ok := argOctets(o.args[0])
	if !ok || len(b) != 10 {
		return nil, badObject(o)
	}
	fold := b[2] >= 0x80
	year, month, day := int(b[0])<<8|int(b[1]), time.Month(b[2]&0x7f), int(b[3])
	clock, ok := clockOf(b[4:])
	if !ok || !isDate(year, month, day) {
		return nil, badObject(o)
	}
	zone := time.UTC
	if len(o.args) == 2 {
		var err error
		if zone, err = argZone(o.args[1]); err != nil {
			return nil, err
		}
	}
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Add(clock)
	return inZone(t, zone, fold), nil
}

// inZone returns the time at which clocks in a zone show what t shows in UTC. If they show it
// twice, as in autumn, fold selects the second time.
func inZone(t time.Time, zone *time.Location, fold bool) time.Time {
	_, before := t.Add(-24 * time.Hour).In(zone).Zone()
	_, after := t.Add(24 * time.Hour).In(zone).Zone()
	first, second := t.Add(-time.Duration(before)*time.Second).In(zone), t.Add(-time.Duration(after)*time.Second).In(zone)
	if _, offset := first.Zone(); offset != before || fold && second.After(first) {
		if _, offset := second.Zone(); offset == after {
			return second
		}
	}
	return first
}

func dateOf(o *pyObject) (any, error) {
	if len(o.args) != 1 {
		return nil, badObject(o)
	}
	b, ok := argOctets(o.args[0])
	if !ok || len(b) != 4 || !isDate(int(b[0])<<8|int(b[1]), time.Month(b[2]), int(b[3])) {
		return nil, badObject(o)
	}
	return time.Date(int(b[0])<<8|int(b[1]), time.Month(b[2]), int(b[3]), 0, 0, 0, 0, time.UTC), nil
}

// timeOf returns a time of day as text, by ISO 8601, since Go has no type for it.
func timeOf(o *pyObject) (any, error) {
	if len(o.args) == 0 || len(o.args) > 2 {
		return nil, badObject(o)
	}
	b, ok := argOctets(o.args[0])
	if !ok || len(b) != 6 {
		return nil, badObject(o)
	}
	clock, ok := clockOf(append([]byte{b[0] & 0x7f}, b[1:]...))
	if !ok {
		return nil, badObject(o)
	}
	form, zone := "15:04:05", time.UTC
	if clock%time.Second != 0 {
		form += ".000000"
	}
	if len(o.args) == 2 {
		var err error
		if zone, err = argZone(o.args[1]); err != nil {
			return nil, err
		}
		form += "Z07:00"
	}
	_, offset := time.Unix(0, 0).In(zone).Zone()
	return time.Unix(0, int64(clock)).Add(-time.Duration(offset) * time.Second).In(zone).Format(form), nil
}

// clockOf reads hour, minute, second and microseconds.
func clockOf(b []byte) (time.Duration, bool) {
	micro := int(b[3])<<16 | int(b[4])<<8 | int(b[5])
	clock := time.Duration(b[0])*time.Hour + time.Duration(b[1])*time.Minute + time.Duration(b[2])*time.Second + time.Duration(micro)*time.Microsecond
	return clock, b[0] < 24 && b[1] < 60 && b[2] < 60 && micro < 1_000_000
}

func isDate(year int, month time.Month, day int) bool {
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return year >= 1 && year <= 9999 && t.Year() == year && t.Month() == month && t.Day() == day
}

func timedeltaOf(o *pyObject) (any, error) {
	if len(o.args) != 3 {
		return nil, badObject(o)
	}
	var n [3]int64 // days, seconds, microseconds
	for i := range n {
		var ok bool
		if n[i], ok = argInt(o.args[i]); !ok || n[i] > 999_999_999 || n[i] < -999_999_999 {
			return nil, badObject(o)
		}
	}
	seconds := n[0]*86400 + n[1]
	if most := int64(math.MaxInt64/time.Second) - 1000; seconds > most || seconds < -most {
		return nil, fmt.Errorf("a timedelta of %d days is longer than a time.Duration can be, 292 years", n[0])
	}
	return time.Duration(seconds)*time.Second + time.Duration(n[2])*time.Microsecond, nil
}

func argZone(v any) (*time.Location, error) {
	if v == nil {
		return time.UTC, nil
	}
	o, ok := v.(*pyObject)
	if !ok {
		return nil, fmt.Errorf("a %s stands where a time zone must be", nodeName(v))
	}
	return zoneOf(o)
}

// zoneOf returns a time zone of Python itself, of pytz or of dateutil.
func zoneOf(o *pyObject) (*time.Location, error) {
	switch o.class {
	case "pytz._UTC", "dateutil.tz.tz.tzutc":
		return time.UTC, nil
	case "datetime.timezone": // offset and name
		return fixedZone(o)
	case "pytz._p": // zone; zone, offset and saving in seconds, name
		return pytzZone(o)
	case "zoneinfo.ZoneInfo":
		if len(o.args) > 0 {
			if name, ok := nodeText(o.args[0]); ok {
				return namedZone(name)
			}
		}
		return nil, badObject(o)
	}
	return nil, fmt.Errorf("a %s is no time zone that is read", string(o.class))
}

func fixedZone(o *pyObject) (*time.Location, error) {
	if len(o.args) == 0 {
		return nil, badObject(o)
	}
	delta, ok := o.args[0].(*pyObject)
	if !ok || delta.class != "datetime.timedelta" {
		return nil, badObject(o)
	}
	d, err := timedeltaOf(delta)
	if err != nil {
		return nil, err
	}
	offset := d.(time.Duration)
	if offset <= -24*time.Hour || offset >= 24*time.Hour {
		return nil, badObject(o)
	}
	name := ""
	if len(o.args) > 1 {
		if name, ok = nodeText(o.args[1]); !ok {
			return nil, badObject(o)
		}
	}
	if name == "" && offset == 0 {
		return time.UTC, nil
	}
	if name == "" {
		name = time.Time{}.In(time.FixedZone("", int(offset/time.Second))).Format("UTC-07:00")
	}
	return time.FixedZone(name, int(offset/time.Second)), nil
}

func pytzZone(o *pyObject) (*time.Location, error) {
	switch len(o.args) {
	case 1:
		if name, ok := nodeText(o.args[0]); ok {
			return namedZone(name)
		}
	case 4:
		offset, ok := argInt(o.args[1])
		name, named := nodeText(o.args[3])
		if ok && named && offset > -86400 && offset < 86400 {
			return time.FixedZone(name, int(offset)), nil
		}
	}
	return nil, badObject(o)
}

// zones caches time zones by name. Each is a small file, which is read once.
var zones sync.Map

func namedZone(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "Local" { // Go would take the server's zone, Python a file of that name
		return nil, fmt.Errorf("the time zone %q is not known", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("the time zone %.60q is not known here (Debian's package tzdata has the usual ones)", name)
	}
	zones.Store(name, zone)
	return zone, nil
}
