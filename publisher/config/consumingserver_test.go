package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// shop is what the handler packages of these tests declare.
func shop() *publisher.Registry {
	r := publisher.NewRegistry()
	r.Produce("shipping", publisher.Producer{Exchange: "shipping-${site_id}", Arguments: publisher.Table{"alternate-exchange": "${site_id}"}})
	r.Produce("log", publisher.Producer{Queue: "log"})
	r.Consume("order-in", publisher.Consumer{Queue: "order-in-${site_id}", Exchange: "orders", RoutingKeys: []string{"${site_id}.*"}}, nothing)
	r.Consume("order-mail", publisher.Consumer{Queue: "order-mail-${site_id}"}, nothing)
	r.Consume("audit", publisher.Consumer{Connection: "audit", ServerNamed: true, Exchange: "audit", ExchangeType: "fanout"}, nothing)
	return r
}

const auditConnection = "[connection.audit]\nurl = \"amqp://audit/\"\n"

func planOf(t *testing.T, r *publisher.Registry, text string) (*config.Plan, error) {
	t.Helper()
	s, err := config.Load(config.Sources{File: write(t, text)}, r)
	if err != nil {
		return nil, err
	}
	return config.Resolve(s, r)
}

// instancesOf lists the instances of a plan with their connection and queue.
func instancesOf(p *config.Plan) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Consumers)) {
		k := p.Consumers[name]
		all = append(all, fmt.Sprintf("%s %s %s", name, k.Connection, k.Queue))
	}
	return all
}

func TestConsumingServers(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []string
		unserved   string
	}{
		{"none", "site.id = \"s\"", []string{"audit audit ", "order-in default order-in-s", "order-mail default order-mail-s"}, ""},
		{"all consumers", "[consuming_server.eu]\nsite_id = \"europe\"\n[site]\nid = \"s\"",
			[]string{"audit@eu audit ", "order-in@eu default order-in-europe", "order-mail@eu default order-mail-europe"}, ""},
		{"the site's own id", "site.id = \"s\"\n[consuming_server.eu]\nconsumers = \"order-in\"", []string{"order-in@eu default order-in-s"}, "audit order-mail"},
		{"derived from it", "site.id = \"s\"\n[consuming_server.eu]\nsite_id = \"${site_id}-eu\"\nconsumers = \"order-in\"",
			[]string{"order-in@eu default order-in-s-eu"}, "audit order-mail"},
		{"those of a connection", "site.id = \"s\"\n[consuming_server.a]\nconnection = \"audit\"\n[consuming_server.b]\nconnection = \"default\"",
			[]string{"audit@a audit ", "order-in@b default order-in-s", "order-mail@b default order-mail-s"}, ""},
		{"pattern, on another connection", "site.id = \"s\"\n[consuming_server.eu]\nconnection = \"audit\"\nconsumers = [\"order-*\", \"order-in\"]",
			[]string{"order-in@eu audit order-in-s", "order-mail@eu audit order-mail-s"}, "audit"},
		{"disabled", "site.id = \"s\"\n[consumer.order-in]\nenabled = false\n[consuming_server.eu]\nconsumers = [\"order-in\", \"order-mail\"]",
			[]string{"order-mail@eu default order-mail-s"}, "audit"},
		{"two on one connection", "site.id = \"s\"\n[consuming_server.eu]\nsite_id = \"e\"\nconsumers = \"order-in\"\n[consuming_server.us]\nsite_id = \"u\"\nconsumers = \"order-in\"",
			[]string{"order-in@eu default order-in-e", "order-in@us default order-in-u"}, "audit order-mail"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := planOf(t, shop(), row.text+"\n"+auditConnection)
			if err != nil {
				t.Fatal(err)
			}
			if got := instancesOf(p); !slices.Equal(got, row.want) || strings.Join(p.Unserved, " ") != row.unserved || p.Warnings != nil {
				t.Errorf("%q, unserved %q, warnings %q", got, p.Unserved, p.Warnings)
			}
		})
	}
}

// TestSitesOfProducers: a consuming server has producers of its own where names have the
// site's id in them, and only there.
func TestSitesOfProducers(t *testing.T) {
	p, err := planOf(t, shop(), `
[site]
id = "s"
base_url = "https://${site_id}.example"
[consuming_server.eu]
site_id = "e"
user = "clerk-${site_id}"
consumers = "order-in"
[consuming_server.same]
consumers = "order-mail"
base_url = "http://localhost/${site_id}"
`+auditConnection)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(p.Producers)); !slices.Equal(got, []string{"log", "shipping", "shipping@eu"}) {
		t.Errorf("%q", got)
	}
	at := p.Producers["shipping@eu"]
	if at.Exchange != "shipping-e" || at.Arguments["alternate-exchange"] != "e" || p.Producers["shipping"].Exchange != "shipping-s" {
		t.Errorf("%+v", at)
	}
	if k := p.Consumers["order-in@eu"]; !slices.Equal(k.RoutingKeys, []string{"e.*"}) || k.DeadLetter != "order-in-e.dead" {
		t.Errorf("%+v", k)
	}
	eu, same := p.ConsumingServers["eu"], p.ConsumingServers["same"]
	if eu.Site != "e" || eu.User != "clerk-e" || eu.BaseURL.String() != "https://e.example" {
		t.Errorf("%+v", eu)
	}
	if same.Site != "s" || same.User != "" || same.BaseURL.String() != "http://localhost/s" {
		t.Errorf("%+v", same)
	}
}

// TestTopicsOfConsumingServers: the consumer of a topic runs once in a process, whatever
// consuming servers there are, and its producer is the same for all sites.
func TestTopicsOfConsumingServers(t *testing.T) {
	r := shop()
	r.AddTopic("news", publisher.Topic{Exchange: "news-${site_id}"})
	const servers = "site.id = \"s\"\n[consuming_server.eu]\nsite_id = \"e\"\n[consuming_server.us]\nsite_id = \"u\"\nconsumers = \"*\"\n" + auditConnection
	p, err := planOf(t, r, servers)
	if err != nil {
		t.Fatal(err)
	}
	k, there := p.Consumers["topic-news"]
	if len(p.Consumers) != 7 || !there || k.Exchange != "news-s" || p.Unserved != nil {
		t.Errorf("%q, %+v, %q", instancesOf(p), k, p.Unserved)
	}
	if _, other := p.Producers["topic-news@eu"]; other || p.Producers["topic-news"].Exchange != "news-s" {
		t.Errorf("%+v", p.Producers)
	}
	_, err = planOf(t, r, servers+"[consuming_server.third]\nconsumers = \"topic-news\"\n")
	if err == nil || !strings.Contains(err.Error(), `consumers = "topic-news": this is the consumer of a topic`) {
		t.Errorf("%v", err)
	}
	if _, err := publisher.NewServer(r, p.Producers, p.Consumers, publisher.Options{Site: "s", ConsumingServers: p.ConsumingServers}); err != nil {
		t.Error(err)
	}
}

func TestProblemsOfConsumingServers(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"connection", "[consuming_server.eu]\nconnection = \"audti\"", `connection = "audti": there is no [connection.audti]; did you mean "audit"?`},
		{"consumer", "[consuming_server.eu]\nconsumers = [\"order-im\"]", `consumers = "order-im": no handler package registers a consumer of this name; did you mean order-in?`},
		{"pattern", "[consuming_server.eu]\nconsumers = [\"bill-*\"]", `"bill-*": no consumer's name matches this pattern; there are audit, order-in, order-mail`},
		{"malformed", "[consuming_server.eu]\nconsumers = [\"[\"]", "a malformed pattern: write a name with * for any letters"},
		{"nobody's connection", "[consuming_server.eu]\nconnection = \"idle\"\n[connection.idle]", "no consumer uses this connection: set consuming_server.eu.consumers"},
		{"base URL", "[consuming_server.eu]\nbase_url = \"eu.example\"", `consuming_server.eu.base_url = "eu.example": want "https://HOST"`},
		{"key", "[consuming_server.eu]\nsiteid = \"x\"", "consuming_server.eu.siteid: unknown key; did you mean consuming_server.eu.site_id?"},
		{"one table too high", "[consuming_server]\nsite_id = \"x\"", "is one table too high: write [consuming_server.NAME]"},
		{"name", "[consuming_server.\"a@b\"]\n", "a name is made of letters, digits, - and _"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := planOf(t, shop(), "site.id = \"s\"\n"+row.text+"\n"+auditConnection)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v\nwant %s", err, row.want)
			}
			if err != nil && strings.Contains(err.Error(), "compiled-in") {
				t.Errorf("not where the configuration says it: %v", err)
			}
		})
	}
	_, err := planOf(t, shop(), "[consuming_server.eu]\n[consuming_server.us]\nsite_id = \"u\"\n"+auditConnection)
	if err == nil || !strings.Contains(err.Error(), "name this deployment there, or set consuming_server.eu.site_id") || strings.Contains(err.Error(), "consuming_server.us.site_id") {
		t.Errorf("without a site: %v", err)
	}
}

// TestSharedQueues: settings with which two consuming servers cannot share a queue are errors. If
// chance decides, that is a warning.
func TestSharedQueues(t *testing.T) {
	const two = "[consuming_server.eu]\nsite_id = \"e\"\n[consuming_server.us]\nsite_id = \"u\"\n"
	const same = "site.id = \"s\"\n[consuming_server.eu]\n[consuming_server.us]\n"
	const apart = "[connection.b]\nurl = \"embedded\"\n[consuming_server.eu]\nsite_id = \"e\"\n[consuming_server.us]\nsite_id = \"u\"\nconnection = \"b\"\nconsumers = \"c\"\n"
	exchange := publisher.Consumer{Exchange: "x", ExchangeType: "fanout"}
	with := func(change func(*publisher.Consumer)) publisher.Consumer {
		k := exchange
		change(&k)
		return k
	}
	for _, row := range []struct {
		name, text  string
		c           publisher.Consumer
		fails, warn string
	}{
		{"shared", two, exchange, "", `queue "c" is consumed by c@eu, c@us: chance decides`},
		{"shared by two connections of one broker", apart, exchange, "", `queue "c" is consumed by c@eu, c@us: chance decides`},
		{"own queues", two, with(func(k *publisher.Consumer) { k.Queue = "c-${site_id}" }), "", ""},
		{"the same site", same, exchange, "", ""},
		{"declared only", two, with(func(k *publisher.Consumer) { k.DeclareOnly = true }), "", ""},
		{"stream", two, with(func(k *publisher.Consumer) { k.QueueType = publisher.QueueStream }), "", ""},
		{"named by the broker", two, with(func(k *publisher.Consumer) { k.ServerNamed = true }), "", ""},
		{"exclusive", two, with(func(k *publisher.Consumer) { k.Exclusive = true }), `consumer.c.queue = "c": the exclusive queue would be that of c@eu and c@us`, ""},
		{"not durable", two, with(func(k *publisher.Consumer) { k.Transient = true }), "set consumer.c.server_named = true", ""},
		{"exclusive, by two connections", apart, with(func(k *publisher.Consumer) { k.Exclusive = true }), "the exclusive queue would be that of c@eu and c@us", ""},
		{"exclusive consumer", same, with(func(k *publisher.Consumer) { k.ExclusiveConsumer = true }), "but the broker accepts only one of them: write ${site_id} into consumer.c.queue", ""},
		{"arguments", two, with(func(k *publisher.Consumer) {
			k.Arguments = publisher.Table{"x-dead-letter-exchange": "dead-${site_id}"}
		}), "with different arguments", ""},
		{"dead letters", two, with(func(k *publisher.Consumer) { k.DeadLetter = "dead-${site_id}" }), "write ${site_id} into its name, too", ""},
		{"exchange", two, with(func(k *publisher.Consumer) {
			k.Queue, k.ExchangeArguments = "c-${site_id}", publisher.Table{"alternate-exchange": "${site_id}"}
		}), `consumer.c.exchange_arguments = map[alternate-exchange:u]: consumer.c declares the exchange "x" with map[alternate-exchange:e]`, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := publisher.NewRegistry()
			r.Consume("c", row.c, nothing)
			p, err := planOf(t, r, row.text)
			if row.fails != "" {
				if err == nil || !strings.Contains(err.Error(), row.fails) {
					t.Errorf("got %v\nwant %s", err, row.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, row.warn) || (got == "") != (row.warn == "") {
				t.Errorf("warnings: %q", p.Warnings)
			}
		})
	}
}
