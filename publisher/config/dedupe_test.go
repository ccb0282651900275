package config_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// TestDedupe: the defaults of a consumer that remembers ids, and what is wrong with it.
func TestDedupe(t *testing.T) {
	for _, row := range []struct {
		name, server, file string
		want               publisher.Dedupe
		problem            string
	}{
		{name: "off", file: `dedupe = { keep = "1h" }`, want: publisher.Dedupe{}},
		{name: "the defaults", file: `dedupe = { key = "message_id" }`, want: publisher.Dedupe{Key: "message_id", Keep: 24 * time.Hour, Max: 1_000_000}},
		{name: "everything", file: `dedupe = { key = "header:order", keep = "1h", max = 5000 }`, want: publisher.Dedupe{Key: "header:order", Keep: time.Hour, Max: 5000}},
		{name: "no such key", file: `dedupe = { key = "body" }`, problem: `consumer.work.dedupe.key = "body": no such key: write "message_id" or "header:NAME"`},
		{name: "no name", file: `dedupe.key = "header:"`, problem: `consumer.work.dedupe.key = "header:": no such key: write "message_id" or "header:NAME"`},
		{name: "too short", file: `dedupe = { key = "message_id", keep = "1ms" }`, problem: `consumer.work.dedupe.keep = "1ms": out of range: the least is 1s and the most is 8760h`},
		{name: "auto_ack", file: "auto_ack = true\ndedupe.key = \"message_id\"", problem: `consumer.work.dedupe.key = "message_id": with no_ack or auto_ack a message is gone before it is handled: remove one of them`},
		{name: "no directory", server: `data_dir = ""`, file: `dedupe.key = "message_id"`, problem: `consumer.work.dedupe.key = "message_id": the ids are in files: set server.data_dir, or dedupe.database`},
		{name: "in a database", server: `data_dir = ""`, file: `dedupe = { key = "message_id", database = "shop" }`, want: publisher.Dedupe{Key: "message_id", Keep: 24 * time.Hour, Database: "shop"}},
		{name: "no such database", file: `dedupe = { key = "message_id", database = "ship" }`, problem: `consumer.work.dedupe.database = "ship": no such database: handler packages register shop`},
		{name: "ids are not counted", file: `dedupe = { key = "message_id", database = "shop", max = 5000 }`, problem: `consumer.work.dedupe.max = "5000": the ids in a database are not counted: remove this; dedupe.keep says when they are deleted`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := publisher.NewRegistry()
			r.Database("shop", func() (*sql.DB, error) { return nil, nil })
			r.Consume("work", publisher.Consumer{}, nothing)
			s, err := config.Load(config.Sources{File: write(t, "[server]\n"+row.server+"\n[consumer.work]\n"+row.file)}, r)
			var p *config.Plan
			if err == nil {
				p, err = config.Resolve(s, r)
			}
			if row.problem != "" {
				if err == nil || !strings.Contains(err.Error(), row.problem) {
					t.Errorf("%v\nwant %s", err, row.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Consumers["work"].Dedupe; got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
}
