package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"zamqp/publisher"
)

// siteVariable stands for site.id. expand leaves it alone, because site.id may not be
// known yet. In a connection it is replaced when the configuration is decoded, in names
// of the topology when the plan is made: handler packages may write it there, too.
const siteVariable = "site_id"

// siteOf returns the site.id of a merged tree that is not decoded yet; "" = there is none, or
// it cannot be decoded.
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

// expandSite replaces ${site_id} in the value of a connection's key, or in each of
// a list.
func (d *decoder) expandSite(path []string, value any) any {
	if path[0] != "connection" {
		return value
	}
	switch v := value.(type) {
	case string:
		text, err := publisher.ExpandSite(v, d.site)
		if err != nil {
			d.fail(path, "", err.Error()) // the value may have a password
		}
		return text
	case []string:
		for i := range v {
			v[i] = d.expandSite(path, v[i]).(string)
		}
	}
	return value
}

// expandSites does the same in the names and tables of a producer or a consumer. Slices
// and maps are copied, because they may be the registered ones.
func (c *planner) expandSites(key string, v reflect.Value, s *schema) {
	for _, r := range s.rules {
		field, here := r.field(v), key+"."+r.name
		switch {
		case r.kind == kindTable:
			c.expandSites(here, field, r.table)
		case r.kind == kindFree:
			field.Set(reflect.ValueOf(c.expandTable(here, field.Interface().(publisher.Table))))
		case r.isName && r.kind == kindText:
			field.SetString(c.expandName(here, field.String()))
		case r.isName && r.kind == kindList:
			names := slices.Clone(field.Interface().([]string))
			for i := range names {
				names[i] = c.expandName(here, names[i])
			}
			field.Set(reflect.ValueOf(names))
		}
	}
}

func (c *planner) expandName(key, name string) string {
	text, err := publisher.ExpandSite(name, c.site)
	if err != nil {
		text := err.Error()
		if c.server != "" {
			text += fmt.Sprintf(", or set consuming_server.%s.site_id", c.server)
		}
		c.declaration(key, show(name), text)
		return name
	}
	if text != name {
		c.length(key, text)
	}
	return text
}

// expandTable expands the texts in a copy of a table and of the tables in it, because
// dead-letter exchanges and keys are names, too.
func (c *planner) expandTable(key string, table publisher.Table) publisher.Table {
	table = maps.Clone(table)
	for name, value := range table {
		switch v := value.(type) {
		case string:
			table[name] = c.expandName(key+"."+name, v)
		case publisher.Table:
			table[name] = c.expandTable(key+"."+name, v)
		}
	}
	return table
}

// namesSite reports whether ${site_id} is in a name or a table of a producer.
func namesSite(p publisher.Producer) bool {
	return slices.ContainsFunc(producerSchema.rules, func(r *rule) bool {
		field := r.field(reflect.ValueOf(p))
		switch {
		case r.kind == kindFree:
			return tableHasSite(field.Interface().(publisher.Table))
		case r.isName && r.kind == kindText:
			return strings.Contains(field.String(), publisher.SiteVariable)
		}
		return false
	})
}

func tableHasSite(table publisher.Table) bool {
	for _, value := range table {
		switch v := value.(type) {
		case string:
			if strings.Contains(v, publisher.SiteVariable) {
				return true
			}
		case publisher.Table:
			if tableHasSite(v) {
				return true
			}
		}
	}
	return false
}
