package config_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// TestClocks: what a handler package registers, with what the configuration changes; and
// what is wrong with it, with the key and the place.
func TestClocks(t *testing.T) {
	for _, row := range []struct {
		name       string
		registered publisher.Clock
		file       string
		want       string // the clock for people
		problem    string
	}{
		{name: "as registered", registered: publisher.Clock{Period: time.Minute}, want: "every 1m0s"},
		{name: "another period", registered: publisher.Clock{Period: time.Minute}, file: `period = "10s"`, want: "every 10s"},
		{name: "everything", registered: publisher.Clock{Period: time.Minute}, want: "at @daily in Asia/Tokyo, up to 5s later, and at the start; one tick waits for the one before; timeout 10m0s",
			file: "period = \"off\"\ncron = \"@daily\"\nzone = \"Asia/Tokyo\"\njitter = \"5s\"\noverlap = \"queue\"\nrun_at_start = true\ntimeout = \"10m\""},
		{name: "one of several", registered: publisher.Clock{Period: time.Minute}, file: "leader = \"default\"\ndedupe = true", want: "every 1m0s; in one process, by connection default; no tick twice"},
		{name: "off", registered: publisher.Clock{Period: time.Minute}, file: `enabled = false`, want: "disabled"},
		{name: "on", registered: publisher.Clock{Period: time.Minute, Disabled: true}, file: `enabled = true`, want: "every 1m0s"},

		{name: "neither", problem: `compiled-in handlers: clock.tick.period = 0s: it does not say when to tick: set period, like "10s", or cron, like "0 3 * * *"`},
		{name: "neither any more", registered: publisher.Clock{Period: time.Minute}, file: `period = "off"`,
			problem: `F:2: clock.tick.period = 0s: it does not say when to tick: set period, like "10s", or cron, like "0 3 * * *"`},
		{name: "both", registered: publisher.Clock{Period: time.Minute}, file: `cron = "@daily"`,
			problem: `F:2: clock.tick.cron = "@daily": there is a period, too: set one of them, and the other to "off" or ""`},
		{name: "zone alone", registered: publisher.Clock{Period: time.Minute}, file: `zone = "UTC"`,
			problem: `F:2: clock.tick.zone = "UTC": a period has no time zone: remove this, or set cron in place of period`},
		{name: "no such zone", registered: publisher.Clock{Cron: "@daily"}, file: `zone = "Europe/Nowhere"`,
			problem: `F:2: clock.tick.zone = "Europe/Nowhere": unknown time zone Europe/Nowhere: write a name of the IANA database, like "Europe/Berlin"`},
		{name: "cron", registered: publisher.Clock{Cron: "0 0 30 2 *"},
			problem: `compiled-in handlers: clock.tick.cron = "0 0 30 2 *": there is no such day: it would never tick`},
		{name: "jitter", registered: publisher.Clock{Period: time.Minute}, file: `jitter = "1m"`,
			problem: `F:2: clock.tick.jitter = 1m: it must be shorter than the period, 1m0s: otherwise ticks would overtake each other`},
		{name: "too short", registered: publisher.Clock{Period: time.Minute}, file: `period = "1us"`,
			problem: `F:2: clock.tick.period = "1us": out of range: the least is 1ms and the most is 8760h; 0 or "off" means that cron says when`},
		{name: "too short, compiled in", registered: publisher.Clock{Period: time.Microsecond},
			problem: `compiled-in handlers: clock.tick.period = 1µs: out of range: the least is 1ms and the most is 8760h; 0 or "off" means that cron says when`},
		{name: "no such connection", registered: publisher.Clock{Period: time.Minute}, file: `leader = "defualt"`,
			problem: `F:2: clock.tick.leader = "defualt": there is no [connection.defualt]; did you mean "default"?`},
		{name: "no such connection, compiled in", registered: publisher.Clock{Period: time.Minute, Leader: "audit"},
			problem: `compiled-in handlers: clock.tick.leader = "audit": there is no [connection.audit]: add it, with its url`},
		{name: "dedupe alone", registered: publisher.Clock{Period: time.Minute}, file: `dedupe = true`,
			problem: `F:2: clock.tick.dedupe = "true": no broker says which ticks have begun: set leader, too, like leader = "default"`},
		{name: "overlap", registered: publisher.Clock{Period: time.Minute, Overlap: "kill"},
			problem: `compiled-in handlers: clock.tick.overlap = "kill": no such word; there are skip, queue`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := publisher.NewRegistry()
			r.Every("tick", row.registered, nothing)
			if s := checkTable(t, r, "clock", "tick", row.file, row.want, row.problem); s != nil && s.Clocks["tick"].String() != row.want {
				t.Errorf("%s\nwant %s", s.Clocks["tick"], row.want)
			}
		})
	}
	r := publisher.NewRegistry()
	r.Every("tick", publisher.Clock{Period: time.Minute}, nothing)
	if _, err := config.Load(config.Sources{Options: []string{"clock.tack.enabled=false"}}, r); err == nil ||
		err.Error() != "-o: clock.tack: no handler package registers a clock of this name; did you mean clock.tick?" {
		t.Error(err)
	}
}

// checkTable checks what a [table.name] with these lines means to people or, if problem is not
// "", what is wrong with it. The file is called F in a problem. It returns the settings if they
// are good.
func checkTable(t *testing.T, r *publisher.Registry, table, name, lines, want, problem string) *config.Settings {
	t.Helper()
	file := write(t, "["+table+"."+name+"]\n"+lines)
	s, err := config.Load(config.Sources{File: file}, r)
	var p *config.Plan
	if err == nil {
		p, err = config.Resolve(s, r)
	}
	if problem != "" {
		if err == nil || strings.ReplaceAll(err.Error(), file, "F") != problem {
			t.Errorf("%v\nwant %s", err, problem)
		}
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Others) != 1 || p.Others[0] != (config.Other{Table: table, Name: name, Text: want}) {
		t.Errorf("%+v\nwant %s", p.Others, want)
	}
	return s
}
