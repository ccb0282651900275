package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/config"
	"zamqp/tests/kit/declared"
)

// registry is what the handler packages of these tests declare.
var registry, nothing = declared.Registry, declared.Nothing

func resolve(t *testing.T, text string) (*config.Plan, error) {
	t.Helper()
	r := registry()
	s, err := config.Load(config.Sources{File: write(t, text)}, r)
	if err != nil {
		t.Fatal(err)
	}
	return config.Resolve(s, r)
}

func mustResolve(t *testing.T, text string) *config.Plan {
	t.Helper()
	p, err := resolve(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanOfRegistered(t *testing.T) {
	p := mustResolve(t, `site.id = "s1"`)
	retry := publisher.Retry{Attempts: 5, Min: time.Second, Max: time.Minute, Crashes: 3}
	for name, want := range map[string]publisher.Consumer{
		"billing": {Connection: "default", Exchange: "orders", ExchangeType: "topic", RoutingKeys: []string{"order.*"},
			Queue: "billing", Prefetch: 100, Retry: retry, Burst: 1, DeadLetter: "billing.dead"},
		"hello": {Connection: "default", ExchangeType: "direct", Queue: "hello", Prefetch: 100, Retry: retry, Burst: 1, DeadLetter: "hello.dead"},
		"mail-out": {Connection: "default", Exchange: "mail", ExchangeType: "direct", RoutingKeys: []string{"mail-s1"},
			Queue: "mail-s1", Prefetch: 100, Retry: retry, Burst: 1,
			Arguments: publisher.Table{"x-dead-letter-exchange": "s1", "nested": publisher.Table{"a": "s1"}}},
	} {
		if got := p.Consumers[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
	}
	want := publisher.Producer{Connection: "default", Exchange: "orders", ExchangeType: "topic", Codec: "json"}
	if got := p.Producers["orders"]; !reflect.DeepEqual(got, want) {
		t.Errorf("orders: %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(p.Connections, []string{"default"}) || len(p.Routes) != 2 || p.Disabled != nil {
		t.Errorf("%v %v %v", p.Connections, p.Routes, p.Disabled)
	}
}

func TestPlanOverrides(t *testing.T) {
	p := mustResolve(t, `
[connection.other]
url = "amqp://other"
prefetch = "off"
[connection.idle]
[consumer.mail-out]
enabled = false
[consumer.billing]
connection = "other"
queue = "b"
routing_keys = ["x", "y"]
durable = false
auto_declare = false
no_ack = true
priority = -3
codec = "csv"
retry = { attempts = 1, max = "5m" }
dead_letter = "off"
arguments = { x-max-length = 5 }
[consumer.hello]
server_named = true
exclusive = true
auto_delete = true
exchange = "h"
exchange_type = "x-random"
prefetch = 3
[producer.orders]
connection = "other"
routing_key = "k"
queue = "q"
durable = false
auto_delete = true
auto_declare = false
mandatory = false
codec = "text"
arguments = {}
`)
	for name, want := range map[string]publisher.Consumer{
		"billing": {Connection: "other", Exchange: "orders", ExchangeType: "topic", RoutingKeys: []string{"x", "y"}, Queue: "b",
			Transient: true, NoDeclare: true, NoAck: true, Burst: 1, Priority: -3, Codec: "csv", DeadLetter: "off",
			Retry:     publisher.Retry{Attempts: 1, Min: time.Second, Max: 5 * time.Minute, Crashes: 3},
			Arguments: publisher.Table{"x-max-length": int64(5)}},
		"hello": {Connection: "default", Exchange: "h", ExchangeType: "x-random", ServerNamed: true, Exclusive: true, AutoDelete: true,
			Prefetch: 3, Burst: 1, Retry: publisher.Retry{Attempts: 5, Min: time.Second, Max: time.Minute, Crashes: 3}},
	} {
		if got := p.Consumers[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
	}
	want := publisher.Producer{Connection: "other", Exchange: "orders", ExchangeType: "topic", RoutingKey: "k", Queue: "q", Codec: "text",
		Transient: true, NoMandatory: true, NoDeclare: true, AutoDelete: true, Arguments: publisher.Table{}}
	if got := p.Producers["orders"]; !reflect.DeepEqual(got, want) {
		t.Errorf("orders: %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(p.Disabled, []string{"mail-out"}) || !reflect.DeepEqual(p.Connections, []string{"default", "other"}) {
		t.Errorf("%v %v", p.Disabled, p.Connections)
	}
}

// TestEveryOptionHasAKey: the configuration can change every option that a handler package
// can set, and names are names in both.
func TestEveryOptionHasAKey(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[publisher.Consumer](), reflect.TypeFor[publisher.Producer](), reflect.TypeFor[publisher.Retry]()} {
		for i := range of.NumField() {
			if f := of.Field(i); f.Tag.Get("key") == "" && f.Tag.Get("not") == "" && f.Type != reflect.TypeFor[publisher.Doc]() {
				t.Errorf("%s.%s has no key", of.Name(), f.Name)
			}
		}
	}
}

// TestDisabledUntilEnabled: a handler package can register a consumer that runs
// only if the configuration enables it.
func TestDisabledUntilEnabled(t *testing.T) {
	r := publisher.NewRegistry()
	r.Consume("audit", publisher.Consumer{Disabled: true}, nothing)
	for text, want := range map[string]int{"": 0, "consumer.audit.enabled = true": 1, "consumer.audit.enabled = false": 0} {
		s, err := config.Load(config.Sources{File: write(t, text)}, r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := config.Resolve(s, r)
		if err != nil || len(p.Consumers) != want || len(p.Disabled) != 1-want {
			t.Errorf("%q: %d consumers, disabled %v, %v", text, len(p.Consumers), p.Disabled, err)
		}
	}
}

// TestOffIsAnotherValue: crashes can be turned off by the configuration, and by the handler
// package.
func TestOffIsAnotherValue(t *testing.T) {
	p := mustResolve(t, "site.id = \"s\"\n[consumer.hello]\nretry.crashes = \"off\"\nrate = \"90/m\"\nqueue_type = \"default\"\n[producer.orders]\nmandatory = true\npriority = 7")
	hello, orders := p.Consumers["hello"], p.Producers["orders"]
	if hello.Retry.Crashes != -1 || hello.Rate != 1.5 || hello.QueueType != "" {
		t.Errorf("%+v", hello)
	}
	if !orders.Mandatory || orders.NoMandatory || !orders.IsMandatory() || orders.Priority != 7 {
		t.Errorf("%+v", orders)
	}
}

// TestPlanLeavesRegistry: a second plan, with another site, starts afresh.
func TestPlanLeavesRegistry(t *testing.T) {
	r := publisher.NewRegistry()
	r.Produce("p", publisher.Producer{UserID: "u-${site_id}", AppID: "a-${site_id}", ReplyTo: "r-${site_id}"})
	r.Consume("a", publisher.Consumer{Exchange: "e", RoutingKeys: []string{"k-${site_id}"}, Arguments: publisher.Table{"x": "${site_id}"}}, nothing)
	for _, site := range []string{"one", "two"} {
		s, err := config.Load(config.Sources{File: write(t, ""), Options: []string{"site.id=" + site}}, r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := config.Resolve(s, r)
		if err != nil {
			t.Fatal(err)
		}
		if made := p.Producers["p"]; made.UserID != "u-"+site || made.AppID != "a-"+site || made.ReplyTo != "r-"+site {
			t.Errorf("%s: %+v", site, made)
		}
		if a := p.Consumers["a"]; a.RoutingKeys[0] != "k-"+site || a.Arguments["x"] != site {
			t.Errorf("%s: %+v", site, a)
		}
	}
}

func TestPlanProblems(t *testing.T) {
	const site = "[site]\nid = \"s\"\n"
	for _, test := range []struct {
		name, text string
		want       []string // a part of each line
	}{
		{"no site", ``, []string{
			`compiled-in handlers: consumer.mail-out.arguments.nested.a = "${site_id}": site.id is not set: name this deployment there`,
			`compiled-in handlers: consumer.mail-out.arguments.x-dead-letter-exchange = "${site_id}": site.id is not set`,
			`compiled-in handlers: consumer.mail-out.queue = "mail-${site_id}": site.id is not set`,
		}},
		{"no site, set here", "consumer.mail-out.enabled = false\nproducer.orders.exchange = \"e-${site_id}\"", []string{
			`:2: producer.orders.exchange = "e-${site_id}": site.id is not set`,
		}},
		{"exchange types", site + "[consumer.billing]\nexchange_type = \"direct\"", []string{
			`:4: consumer.billing.exchange_type = "direct": producer.orders declares the exchange "orders" with "topic": the broker would refuse one of them, make them agree`,
		}},
		{"exchange durability", site + "[producer.orders]\ndurable = false", []string{
			`compiled-in handlers: consumer.billing.durable = true: producer.orders declares the exchange "orders" with false`,
		}},
		{"other connection", site + "[connection.b]\n[producer.orders]\nconnection = \"b\"\nexchange_type = \"fanout\"", nil},
		{"not declared", site + "[producer.orders]\nauto_declare = false\nexchange_type = \"fanout\"", nil},
		{"retry", site + "[consumer.hello]\nretry.max = \"10ms\"", []string{
			`consumer.hello.retry.min = 1s: more than retry.max, 10ms: swap them`,
		}},
		{"long", "site.id = \"" + strings.Repeat("s", 246) + "\"\n[consumer.mail-out]\nqueue = \"long-mail-${site_id}\"\narguments = {}", []string{
			`:3: consumer.mail-out.queue = "long-mail-sss`,                         // 256 octets
			`compiled-in handlers: consumer.mail-out.dead_letter = "long-mail-sss`, // 261
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := resolve(t, test.text)
			if len(test.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Errorf("%d lines, want %d:\n%v", len(lines), len(test.want), err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}

// TestPlanRoutes: what is wrong with the route of a consumer is a problem of its key.
func TestPlanRoutes(t *testing.T) {
	registry := func() *publisher.Registry {
		r := publisher.NewRegistry()
		r.Handle("POST /orders", func(*publisher.Request) error { return nil })
		r.Handle("POST /orders/{id}", func(*publisher.Request) error { return nil })
		r.Consume("work", publisher.Consumer{Route: "POST /nowhere"}, nil)
		return r
	}
	for option, want := range map[string]string{
		"":                                     "compiled-in handlers: consumer.work.route = \"POST /nowhere\": there is no such route: `zamqp routes` prints those that there are",
		"consumer.work.route=/orders":          `-o: consumer.work.route = "/orders": a route is "METHOD [HOST]/PATH": write one such as "POST /orders"; there are routes of that path for POST`,
		"consumer.work.route=GET /orders":      `-o: consumer.work.route = "GET /orders": no route takes GET there, but one takes POST: write that`,
		"consumer.work.route=POST /orders/{x}": `-o: consumer.work.route = "POST /orders/{x}": the wildcard {x} has no value: write one, or {routing_key}, {message_id}, {correlation_id}, {type} or {header:NAME} for what each message brings`,
		"consumer.work.route=POST /orders/42":  "",
		"consumer.work.enabled=false":          "",
	} {
		var options []string
		if option != "" {
			options = []string{option}
		}
		s, err := config.Load(config.Sources{Options: options}, registry())
		if err != nil {
			t.Fatal(err)
		}
		switch _, err = config.Resolve(s, registry()); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", option, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v\nwant %s", option, err, want)
		}
	}
}

func TestPlanUnknownConnectionOfHandler(t *testing.T) {
	r := publisher.NewRegistry()
	r.Produce("p", publisher.Producer{Connection: "defaut"})
	_, err := config.Resolve(config.Defaults(), r)
	want := `compiled-in handlers: producer.p.connection = "defaut": there is no [connection.defaut]; did you mean "default"?`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestLimitsOfRegistered: what the configuration refuses is refused in code as well.
func TestLimitsOfRegistered(t *testing.T) {
	r := publisher.NewRegistry()
	r.Produce("p", publisher.Producer{ExchangeType: "topik", Expiration: 1500 * time.Microsecond, AppID: strings.Repeat("a", 256)})
	r.Consume("c", publisher.Consumer{Prefetch: 70_000, Retry: publisher.Retry{Attempts: 2000, Crashes: -1}}, nothing)
	_, err := config.Resolve(config.Defaults(), r)
	want := strings.Join([]string{
		`compiled-in handlers: consumer.c.prefetch = 70000: out of range: the least is 1 and the most is 65535`,
		`compiled-in handlers: consumer.c.retry.attempts = 2000: out of range: the least is 1 and the most is 1000`,
		`compiled-in handlers: producer.p.app_id = "` + strings.Repeat("a", 76) + `...: AMQP's names have at most 255 octets, this has 256`,
		`compiled-in handlers: producer.p.exchange_type = "topik": no such word; did you mean "topic"?`,
		`compiled-in handlers: producer.p.expiration = 1.5ms: AMQP counts in milliseconds: round it`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestDeadLetterDefault: a queue that is there to stay has a dead-letter queue, unless
// somebody has said otherwise.
func TestDeadLetterDefault(t *testing.T) {
	for override, want := range map[string]string{
		`enabled = true`:       "hello.dead",
		`queue = "q"`:          "q.dead",
		`dead_letter = "off"`:  "off",
		`dead_letter = "gone"`: "gone",
		`exclusive = true`:     "",
		`durable = false`:      "",
		`auto_delete = true`:   "",
		`server_named = true`:  "",
		`auto_declare = false`: "",
		`no_ack = true`:        "",
		`arguments = { x-dead-letter-exchange = "dlx" }`: "",
		`arguments = { x-max-length = 5 }`:               "hello.dead",
	} {
		p := mustResolve(t, "site.id = \"s\"\n[consumer.hello]\n"+override)
		if got := p.Consumers["hello"].DeadLetter; got != want {
			t.Errorf("%s: %q, want %q", override, got, want)
		}
	}
}

// TestExchangeTypeNamedOnce: a declaration without a type takes the type that
// others give to the same exchange, in whatever order they are read; if nobody
// gives one, it is direct.
func TestExchangeTypeNamedOnce(t *testing.T) {
	r := publisher.NewRegistry()
	r.Produce("a", publisher.Producer{Exchange: "one"})
	r.Produce("b", publisher.Producer{Exchange: "one", ExchangeType: "topic"})
	r.Produce("c", publisher.Producer{Exchange: "two"})
	r.Consume("d", publisher.Consumer{Exchange: "one"}, nothing)
	p, err := config.Resolve(config.Defaults(), r)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{p.Producers["a"].ExchangeType, p.Producers["b"].ExchangeType, p.Producers["c"].ExchangeType, p.Consumers["d"].ExchangeType}
	if want := []string{"topic", "topic", "direct", "topic"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
