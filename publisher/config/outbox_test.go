package config_test

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// TestOutbox: an outbox needs confirms and a database. Its connection is used although nobody publishes
// with it any more, because rows may be left.
func TestOutbox(t *testing.T) {
	with := publisher.NewRegistry()
	with.Database("shop", func() (*sql.DB, error) { return nil, errors.New("nobody opens it here") })
	for _, row := range []struct {
		name     string
		registry *publisher.Registry
		file     string
		want     []string
		problem  string
	}{
		{name: "on", registry: with, file: `outbox = "sql"`, want: []string{"default"}},
		{name: "off", registry: with},
		{name: "another word", registry: with, file: `outbox = "file"`, problem: `connection.default.outbox = "file"`},
		{name: "without confirms", registry: with, file: "outbox = \"sql\"\nconfirms = false", problem: "connection.default.confirms = true"},
		{name: "without a database", registry: publisher.NewRegistry(), file: `outbox = "sql"`, problem: "publisher.Database"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := config.Load(config.Sources{File: write(t, "[connection.default]\n"+row.file)}, row.registry)
			var p *config.Plan
			if err == nil {
				p, err = config.Resolve(s, row.registry)
			}
			switch {
			case row.problem != "":
				if err == nil || !strings.Contains(err.Error(), row.problem) {
					t.Errorf("%v, want %s", err, row.problem)
				}
			case err != nil:
				t.Error(err)
			case !slices.Equal(p.Outboxes(), row.want) || !slices.Equal(p.Connections, row.want):
				t.Errorf("outboxes %v, connections %v", p.Outboxes(), p.Connections)
			}
		})
	}
}
