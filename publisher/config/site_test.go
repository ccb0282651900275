package config_test

import (
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
)

// TestSiteInConnections: the site's id may come from any source, and may be used anywhere in
// a connection.
func TestSiteInConnections(t *testing.T) {
	const text = `
[connection.default]
url = ["amqp://shop:secret@a/shop-${site_id}", "amqp://shop:secret@b/shop-${site_id}"]
connection_name = "zamqp-${site_id}"
spool_dir = "/var/spool/${site_id}"
client_properties = { site = "${site_id}", more = { sites = ["${site_id}"] } }
`
	for _, row := range []struct {
		file    string
		options []string
		environ []string
	}{
		{"[site]\nid = \"s1\"" + text, nil, nil},
		{"[site]\nid = \"${SITE}\"" + text, nil, []string{"SITE=s1"}},
		{text, []string{"site.id=s1"}, nil},
		{text, nil, []string{"ZAMQP_SITE__ID=s1"}},
	} {
		s, err := config.Load(config.Sources{File: write(t, row.file), Options: row.options, Environ: row.environ}, publisher.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		c := s.Connections["default"]
		more, _ := c.Properties["more"].(map[string]any)
		if c.URI.Vhost != "shop-s1" || c.ConnectionName != "zamqp-s1" || c.SpoolDir != "/var/spool/s1" || c.Properties["site"] != "s1" {
			t.Errorf("%+v %v", c, more)
		}
	}
	_, err := config.Load(config.Sources{File: write(t, text)}, publisher.NewRegistry())
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Count(err.Error(), "site.id is not set") != 6 {
		t.Errorf("%v", err)
	}
}
