package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// sizeUnits are the units of a size.
var sizeUnits = []struct {
	name   string
	octets int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1000}, {"KB", 1000}, {"MB", 1000 * 1000}, {"GB", 1000 * 1000 * 1000},
	{"B", 1},
}

// ParseSize reads a number of octets: "64KiB", "10MB", "100B", or "100", which are octets
// too. "64K" and "64Mb" mean different things to different people: the error has the
// spelling that was probably meant.
func ParseSize(text string) (Size, error) {
	digits, unit := splitUnit(text)
	if digits == "" {
		return 0, errors.New(`want a size: a whole number with its unit, like "64KiB"`)
	}
	factor := int64(0)
	for _, u := range sizeUnits {
		if unit == u.name || unit == "" && u.name == "B" {
			factor = u.octets
		}
	}
	if factor == 0 {
		return 0, sizeUnitError(digits, unit)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, errors.New("the size does not fit in 63 bits")
	}
	return Size(n * factor), nil
}

func sizeUnitError(digits, unit string) error {
	if strings.HasPrefix(unit, ".") || strings.HasPrefix(unit, ",") {
		return errors.New(`a size is a whole number: write "1536KiB" rather than "1.5MiB"`)
	}
	if spaced := strings.TrimSpace(unit); spaced != unit && spaced != "" {
		return fmt.Errorf("no space before the unit: write %q", digits+spaced)
	}
	for _, u := range sizeUnits {
		// The first letter decides: "64k", "64Kb" and "64kib" all mean KiB.
		if len(u.name) == 3 && unit != "" && strings.EqualFold(unit[:1], u.name[:1]) {
			return fmt.Errorf("no unit %q: write %q", unit, digits+u.name)
		}
	}
	return fmt.Errorf("no unit %q: the units of a size are B, KiB, MiB, GiB, KB, MB and GB", unit)
}

// ParseDuration reads "60s", "100ms" or "1m30s", and "0". The error of a number without a
// unit has the spelling that was probably meant.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		if d < 0 {
			return 0, errors.New("a duration cannot be negative")
		}
		return d, nil
	}
	digits, unit := splitUnit(text)
	switch {
	case digits == "":
		return 0, errors.New(`want a duration: a number with its unit, like "60s" or "100ms"`)
	case unit == "":
		return 0, fmt.Errorf("a duration needs a unit: write %q", digits+"s")
	case strings.TrimSpace(unit) != unit && strings.TrimSpace(unit) != "":
		return 0, fmt.Errorf("no space before the unit: write %q", digits+strings.TrimSpace(unit))
	}
	return 0, errors.New(`not a duration: its units are h, m, s, ms, us and ns, as in "1h30m", "60s" or "100ms"`)
}

// splitUnit cuts text after its leading decimal digits.
func splitUnit(text string) (digits, unit string) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

// FormatDuration writes d without the zero units of time.Duration: "1m" and "1h", not
// "1m0s" and "1h0m0s".
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// quantity reads text as a number, a size in octets or a duration in nanoseconds, by the
// rule's kind. It does not check the range.
func (r *rule) quantity(text string) (int64, error) {
	switch r.kind {
	case kindDuration:
		d, err := ParseDuration(text)
		return int64(d), err
	case kindSize:
		n, err := ParseSize(text)
		return int64(n), err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("want a whole number, like 100")
	}
	return n, nil
}

// inRange returns an error if n is out of range, in the key's own notation.
func (r *rule) inRange(n int64) error {
	if !r.ranged || n >= r.min && n <= r.max || n == 0 && r.off != "" {
		return nil
	}
	text := fmt.Sprintf("out of range: the least is %s and the most is %s", r.show(r.min), r.show(r.max))
	if r.off != "" {
		text += fmt.Sprintf(`; 0 or "off" means that %s`, r.off)
	}
	return errors.New(text)
}
