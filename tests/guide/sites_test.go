package guide_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
	"zamqp/publisher/publishertest"
)

// Invoice says for whom a message was handled.
type Invoice struct {
	Site  string `json:"site"`
	Clerk string `json:"clerk"`
	Link  string `json:"link"`
}

func register(g *publisher.Registry) {
	g.Consume("billing", publisher.Consumer{Queue: "billing-${site_id}"}, bill)
	g.Produce("invoices", publisher.Producer{Queue: "invoices-${site_id}"})
}

func bill(r *publisher.Request) error {
	invoice := Invoice{Site: r.Site(), Clerk: r.User(), Link: r.URL("/invoices/7")}
	return r.Publish("invoices", invoice) // to invoices-europe, or to invoices-america
}

func TestSites(t *testing.T) {
	europe, err := publisher.ParseBaseURL("https://eu.shop.example")
	if err != nil {
		t.Fatal(err)
	}
	g := publisher.NewRegistry()
	register(g)
	s := publishertest.New(t, g,
		publishertest.ConsumingServer("eu", publisher.ConsumingServer{Site: "europe", User: "clerk", BaseURL: europe}),
		publishertest.ConsumingServer("us", publisher.ConsumingServer{Site: "america"}))
	if got := s.Deliver("billing@eu", publisher.Publishing{}); got.Settlement != publisher.SettleAck {
		t.Fatal(got.Err)
	}
	want := `{"site":"europe","clerk":"clerk","link":"https://eu.shop.example/invoices/7"}`
	if p := s.Published(); len(p) != 1 || p[0].RoutingKey != "invoices-europe" || string(p[0].Body) != want {
		t.Errorf("%+v", p)
	}
}

// TestSitesSettings: the page's tables are taken, and mean what it says.
func TestSitesSettings(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/sites.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	file := filepath.Join(t.TempDir(), "config.toml")
	g := publisher.NewRegistry()
	register(g)
	for _, row := range []struct {
		more string
		want []string
	}{
		{"", []string{"billing@eu default billing-europe", "billing@us default billing-america"}},
		{"consumers = [\"bill*\"]", []string{"billing@eu default billing-europe", "billing@us default billing-america"}},
		{"connection = \"us\"\nconsumers = [\"billing\"]", []string{"billing@eu default billing-europe", "billing@us us billing-america"}},
	} {
		if err := os.WriteFile(file, []byte("site.id = \"home\"\n[connection.us]\nurl = \"embedded\"\n"+text+row.more), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := config.Load(config.Sources{File: file}, g)
		if err != nil {
			t.Fatal(err)
		}
		p, err := config.Resolve(s, g)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, k := range p.Consumers {
			if strings.HasPrefix(name, "billing@") {
				got = append(got, name+" "+k.Connection+" "+k.Queue)
			}
		}
		if slices.Sort(got); !slices.Equal(got, row.want) || p.Producers["invoices@us"].Queue != "invoices-america" {
			t.Errorf("%s: %q, %+v", row.more, got, p.Producers)
		}
	}
}
