package config

import (
	"strings"

	"zamqp/publisher"
)

// siteVariable is left alone by expand: it is the deployment's [site] id, which
// has to be known before. In a connection it is replaced when the configuration is
// read, in names of the topology when the plan is made, as handler packages may
// write it there, too.
const siteVariable = "site_id"

const noSite = "site.id is not set: name this deployment there"

// siteOf is the site.id of a merged tree that is not decoded yet; "" is none, or
// one that decoding will complain about.
func siteOf(tree map[string]any, lookup func(string) (string, bool)) string {
	table, _ := tree["site"].(map[string]any)
	switch id := table["id"].(type) {
	case string:
		id, _, _ = expand(id, lookup)
		return id
	case plainText:
		return string(id)
	}
	return ""
}

// deployed replaces ${site_id} in the value of a connection's key, or in each of
// a list.
func (d *decoder) deployed(path []string, value any) any {
	if path[0] != "connection" {
		return value
	}
	switch v := value.(type) {
	case string:
		if !strings.Contains(v, publisher.SiteVariable) {
			return v
		}
		if d.site == "" {
			d.fail(path, "", noSite) // the value may hold a password
			return v
		}
		return strings.ReplaceAll(v, publisher.SiteVariable, d.site)
	case []string:
		for i := range v {
			v[i] = d.deployed(path, v[i]).(string)
		}
	}
	return value
}
