package config_test

import (
	"testing"

	"zamqp/publisher"
)

// TestTopics: what a handler package declares, with what the configuration changes; and what is
// wrong with it.
func TestTopics(t *testing.T) {
	for _, row := range []struct {
		name       string
		registered publisher.Topic
		file       string
		want       string // the topic for people
		problem    string
	}{
		{name: "defaults", want: "in this process, keeps 1024 events in 1MiB"},
		{name: "as declared", registered: publisher.Topic{Exchange: "news", Events: 7, Octets: 64 * publisher.KiB}, want: "by the exchange news, keeps 7 events in 64KiB"},
		{name: "changed", registered: publisher.Topic{Exchange: "news", Events: 7}, file: "events = 9\noctets = \"2MiB\"\nhistory = false",
			want: "by the exchange news, keeps 9 events in 2MiB, without a history"},
		{name: "nothing kept", file: "events = 0", problem: `F:2: topic.news.events = 0: out of range: the least is 1 and the most is 1000000`},
		{name: "compiled in", registered: publisher.Topic{Octets: 1}, problem: `compiled-in handlers: topic.news.octets = 1B: out of range: the least is 1KiB and the most is 1GiB`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := publisher.NewRegistry()
			r.AddTopic("news", row.registered)
			checkTable(t, r, "topic", "news", row.file, row.want, row.problem)
		})
	}
}
