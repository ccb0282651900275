package config_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher/config"
)

func TestParseSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want config.Size
		err  string // part of it; "" = none
	}{
		{"0", 0, ""},
		{"100", 100, ""},
		{"100B", 100, ""},
		{"64KiB", 64 * config.KiB, ""},
		{"1MiB", config.MiB, ""},
		{"2GiB", 2 * config.GiB, ""},
		{"10kB", 10_000, ""},
		{"10KB", 10_000, ""},
		{"10MB", 10_000_000, ""},
		{"1GB", 1_000_000_000, ""},
		{"9223372036854775807", 1<<63 - 1, ""},
		{"8589934591GiB", 8589934591 * config.GiB, ""},

		{"", 0, "want a size"},
		{"KiB", 0, "want a size"},
		{"-1", 0, "want a size"},
		{"+1", 0, "want a size"},
		{"64K", 0, `write "64KiB"`},
		{"64kib", 0, `write "64KiB"`},
		{"64Kb", 0, `write "64KiB"`},
		{"8m", 0, `write "8MiB"`},
		{"64 KiB", 0, `no space before the unit: write "64KiB"`},
		{"1.5MiB", 0, "a size is a whole number"},
		{"1,5MiB", 0, "a size is a whole number"},
		{"5TiB", 0, "the units of a size are"},
		{"5s", 0, "the units of a size are"},
		{"9223372036854775808", 0, "63 bits"},
		{"8589934592GiB", 0, "63 bits"},
		{"99999999999999999999KiB", 0, "63 bits"},
	} {
		got, err := config.ParseSize(test.text)
		checkUnit(t, "size", test.text, got, test.want, err, test.err)
	}
}

func TestParseDuration(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		err  string
	}{
		{"0", 0, ""},
		{"60s", time.Minute, ""},
		{"100ms", 100 * time.Millisecond, ""},
		{"1m30s", 90 * time.Second, ""},
		{"1.5h", 90 * time.Minute, ""},

		{"", 0, "want a duration"},
		{"soon", 0, "want a duration"},
		{"-5s", 0, "cannot be negative"},
		{"75", 0, `needs a unit: write "75s"`},
		{"60 s", 0, `no space before the unit: write "60s"`},
		{"1d", 0, "its units are"},
		{"5sec", 0, "its units are"},
		{"9999999h", 0, "its units are"},
	} {
		got, err := config.ParseDuration(test.text)
		checkUnit(t, "duration", test.text, got, test.want, err, test.err)
	}
}

func checkUnit[T comparable](t *testing.T, what, text string, got, want T, err error, wantErr string) {
	t.Helper()
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("%s %q: got %v, %v, want %v", what, text, got, err, want)
	case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
		t.Errorf("%s %q: got %v, error %v, want error with %q", what, text, got, err, wantErr)
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[config.Size]string{
		0: "0", 1: "1B", 100: "100B", 1023: "1023B", 1024: "1KiB", 1536: "1536B",
		1 << 20: "1MiB", 3 << 19: "1536KiB", 5 << 30: "5GiB",
	} {
		if got := size.String(); got != want {
			t.Errorf("Size(%d): %s, want %s", int64(size), got, want)
		}
	}
}

// FuzzSize: what is read and written again is the same size, and no text makes
// a negative one.
func FuzzSize(f *testing.F) {
	for _, seed := range []string{"64KiB", "10MB", "0", "1.5MiB", "9223372036854775807", "64 K", "ÄB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := config.ParseSize(text)
		if err != nil {
			return
		}
		again, err := config.ParseSize(size.String())
		if size < 0 || err != nil || again != size {
			t.Errorf("%q: %d, written %s, read %d, %v", text, int64(size), size, int64(again), err)
		}
	})
}
