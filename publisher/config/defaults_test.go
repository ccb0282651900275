package config_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// shipped is config.toml at the top of the repository.
const shipped = "../../config.toml"

// commented is a key or table that has no default of its own: "#" and no space.
var commented = regexp.MustCompile(`(?m)^#(\[|[a-z_]+ = )`)

func shippedText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestShippedFileIsDefaults: the values in config.toml are those of an empty configuration,
// key by key.
func TestShippedFileIsDefaults(t *testing.T) {
	got, err := config.Load(config.Sources{File: shipped}, registry())
	if err != nil {
		t.Fatal(err)
	}
	want := mustLoad(t, "", nil, nil)
	for i := range reflect.TypeFor[config.Settings]().NumField() {
		field := reflect.TypeFor[config.Settings]().Field(i)
		if !field.IsExported() { // where each value came from
			continue
		}
		a, b := reflect.ValueOf(*got).Field(i).Interface(), reflect.ValueOf(*want).Field(i).Interface()
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: config.toml %+v, defaults %+v", field.Name, a, b)
		}
	}
}

// TestShippedExamples: the commented values in config.toml are those of a registration that
// sets nothing.
func TestShippedExamples(t *testing.T) {
	r := publisher.NewRegistry()
	r.Consume("hello", publisher.Consumer{}, nothing)
	r.Produce("orders", publisher.Producer{})
	r.Every("report", publisher.Clock{Period: 10 * time.Second}, nothing)
	r.AddTopic("news", publisher.Topic{})
	resolve := func(text string) *config.Plan {
		s, err := config.Load(config.Sources{File: write(t, text)}, r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := config.Resolve(s, r)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	// An empty table of arguments is none; mandatory = false without a queue
	// says what is so anyway. The rest has to be equal.
	normal := func(p *config.Plan) (publisher.Consumer, publisher.Producer) {
		k, o := p.Consumers["hello"], p.Producers["orders"]
		for _, table := range []*publisher.Table{&k.Arguments, &k.ExchangeArguments, &k.BindingArguments, &o.Arguments, &o.QueueArguments} {
			if len(*table) == 0 {
				*table = nil
			}
		}
		o.NoMandatory = !o.IsMandatory()
		return k, o
	}
	wantConsumer, wantProducer := normal(resolve(""))
	// With a consuming server the consumer is hello@eu.
	before, rest, _ := strings.Cut(commented.ReplaceAllString(shippedText(t), "$1"), "[consuming_server.eu]")
	_, rest, _ = strings.Cut(rest, "\n\n")
	gotConsumer, gotProducer := normal(resolve(before + rest))
	served := resolve(commented.ReplaceAllString(shippedText(t), "$1"))
	if k, ok := served.Consumers["hello@eu"]; !ok || k.Queue != "hello" || served.ConsumingServers["eu"] != (publisher.ConsumingServer{}) {
		t.Errorf("consuming server: %+v, %+v", served.Consumers, served.ConsumingServers)
	}
	if wantConsumer.DeadLetter != "hello.dead" {
		t.Errorf("dead letter: %q", wantConsumer.DeadLetter)
	}
	if !reflect.DeepEqual(gotConsumer, wantConsumer) {
		t.Errorf("consumer: config.toml %+v\nregistered %+v", gotConsumer, wantConsumer)
	}
	if !reflect.DeepEqual(gotProducer, wantProducer) {
		t.Errorf("producer: config.toml %+v\nregistered %+v", gotProducer, wantProducer)
	}
	if want := *resolve("").Settings.Clocks["report"]; want != (publisher.Clock{Period: 10 * time.Second}) {
		t.Errorf("clock: %+v", want)
	}
	got := *resolve(commented.ReplaceAllString(shippedText(t), "$1")).Settings.Clocks["report"]
	if got.Overlap = ""; got != (publisher.Clock{Period: 10 * time.Second}) { // skip
		t.Errorf("clock: config.toml %+v", got)
	}
	if got := *resolve(commented.ReplaceAllString(shippedText(t), "$1")).Settings.Topics["news"]; got != (publisher.Topic{}).WithDefaults() {
		t.Errorf("topic: config.toml %+v", got)
	}
}

// TestShippedFileIsComplete: every key that can be set is in config.toml, with a comment.
func TestShippedFileIsComplete(t *testing.T) {
	text := commented.ReplaceAllString(shippedText(t), "$1")
	var got []string
	names := map[string]string{} // by table: hello for consumer
	table := ""
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			table = strings.TrimSuffix(name, "]")
			if i := strings.LastIndex(table, "."); i > 0 {
				names[table[:i]] = table[i+1:]
			}
			table += "."
			continue
		}
		key, rest, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if !strings.Contains(rest, "  # ") && !strings.Contains(rest, " # ") {
			t.Errorf("%s%s: no word about it", table, key)
		}
		if key == "retry" {
			got = append(got, table+"retry.attempts", table+"retry.min", table+"retry.max", table+"retry.in_place", table+"retry.crashes")
			continue
		}
		if key == "dedupe" && strings.HasPrefix(table, "consumer.") { // of a clock it is no table
			got = append(got, table+"dedupe.key", table+"dedupe.keep", table+"dedupe.database", table+"dedupe.max")
			continue
		}
		got = append(got, table+key)
	}
	slices.Sort(got)
	want := config.SchemaKeys(func(table string) string { return names[table] })
	if !slices.Equal(got, want) {
		t.Errorf("config.toml has\n%s\nthe schema has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// nameless is the entry of each table of names in the guide.
func nameless(table string) string {
	if strings.HasSuffix(table, ".permissions") {
		return `"/"`
	}
	return "NAME"
}

// TestGuideIsComplete: the guide's tables name every key, too.
func TestGuideIsComplete(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.SchemaKeys(nameless) {
		if !strings.Contains(string(guide), "`"+key+"`") {
			t.Errorf("docs/guide/configuration.md does not mention `%s`", key)
		}
	}
}
