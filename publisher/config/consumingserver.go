package config

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"zamqp/publisher"
)

// ConsumingServer is one [consuming_server.NAME]: it runs instances of consumers for one site.
// Without consuming servers each consumer runs once, for site.id.
type ConsumingServer struct {
	Connection string `key:"connection"` // of its instances; "" = each consumer's own
	SiteID     string `key:"site_id"`    // "" = site.id
	User       string `key:"user"`
	// Consumers holds names and patterns; none = all consumers, or all of Connection.
	Consumers []string `key:"consumers"`
	BaseURL   string   `key:"base_url"` // "" = site.base_url
}

// consumers plans the consumers, or their instances in the consuming servers.
func (c *planner) consumers(p *Plan) {
	all, enabled := c.registry.Consumers(), []string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if own := c.settings.Consumers[name]; own != nil {
			all[name] = *own
		}
		if all[name].Disabled {
			p.Disabled = append(p.Disabled, name)
		} else {
			enabled = append(enabled, name)
		}
	}
	if len(c.settings.ConsumingServers) == 0 {
		for _, name := range enabled {
			p.Consumers[name] = c.consumer(name, all[name])
		}
		return
	}
	p.ConsumingServers = map[string]publisher.ConsumingServer{}
	served := map[string]bool{}
	for _, name := range enabled {
		if c.registry.OfTopic(name) { // it is for all sites
			served[name], p.Consumers[name] = true, c.consumer(name, all[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings.ConsumingServers)) {
		s := c.settings.ConsumingServers[name]
		c.server, c.site = name, cmp.Or(s.SiteID, c.settings.Site.ID)
		p.ConsumingServers[name] = c.consumingServer(s)
		for _, consumer := range c.chosen(s, all) {
			if k := all[consumer]; !k.Disabled {
				served[consumer] = true
				k.Connection = cmp.Or(s.Connection, k.Connection)
				p.Consumers[publisher.InstanceName(consumer, name)] = c.consumer(consumer, k)
			}
		}
		c.producersAt(p)
	}
	c.server, c.site = "", c.settings.Site.ID
	c.sharedQueues(p)
	for _, name := range enabled {
		if !served[name] {
			p.Unserved = append(p.Unserved, name)
		}
	}
}

// consumingServer fills in the defaults of a consuming server, and checks all of it but its
// consumers.
func (c *planner) consumingServer(s *ConsumingServer) publisher.ConsumingServer {
	key := "consuming_server." + c.server
	if s.Connection != "" && c.settings.Connections[s.Connection] == nil {
		c.declaration(key+".connection", show(s.Connection), UnknownConnection(s.Connection, c.settings))
	}
	if site, err := publisher.ExpandSite(c.site, c.settings.Site.ID); err == nil {
		c.site = site // site_id = "${site_id}-eu"
	} else {
		c.declaration(key+".site_id", show(c.site), err.Error())
	}
	out := publisher.ConsumingServer{Site: c.site, User: c.expandName(key+".user", s.User)}
	at, text := key+".base_url", s.BaseURL
	if text == "" {
		at, text = "site.base_url", cmp.Or(c.settings.baseURL, c.settings.Site.BaseURL)
	}
	base, err := publisher.ExpandSite(text, c.site)
	if err == nil && base != "" {
		out.BaseURL, err = publisher.ParseBaseURL(base)
	}
	if err != nil {
		c.declaration(at, show(MaskURLs([]string{text})), err.Error())
	}
	return out
}

// chosen returns the names of the consumers that a consuming server runs, disabled ones included.
func (c *planner) chosen(s *ConsumingServer, all map[string]publisher.Consumer) (names []string) {
	key, known := "consuming_server."+c.server, slices.Sorted(maps.Keys(all))
	known = slices.DeleteFunc(known, c.registry.OfTopic)
	if len(s.Consumers) == 0 {
		names = slices.DeleteFunc(known, func(name string) bool {
			return s.Connection != "" && cmp.Or(all[name].Connection, publisher.DefaultConnection) != s.Connection
		})
		switch {
		case len(known) == 0 && s.Connection == "":
			c.declaration(key, "", "no handler package registers a consumer: there is nothing to consume")
		case len(names) == 0 && c.settings.Connections[s.Connection] != nil:
			c.declaration(key+".connection", show(s.Connection),
				fmt.Sprintf("no consumer uses this connection: set %s.consumers to the names of those that should", key))
		}
		return names
	}
	for _, text := range s.Consumers {
		found, problem := matching(text, known)
		if c.registry.OfTopic(text) {
			problem = "this is the consumer of a topic, which runs once in each process and for all sites: remove it"
		}
		if problem != "" {
			c.declaration(key+".consumers", show(text), problem)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// matching returns the names that an entry of a list matches. problem says why there are none.
func matching(text string, known []string) (names []string, problem string) {
	if !strings.ContainsAny(text, `*?[\`) {
		if slices.Contains(known, text) {
			return []string{text}, ""
		}
		return nil, unknownAmong("", "no handler package registers a consumer of this name", text, known)
	}
	for _, name := range known {
		fits, err := path.Match(text, name)
		if err != nil {
			return nil, `a malformed pattern: write a name with * for any letters and ? for one, such as "order-*"`
		}
		if fits {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, unknownAmong("", "no consumer's name matches this pattern", "", known)
	}
	return names, ""
}

// producersAt plans the producers that have other names at the site of a consuming server.
func (c *planner) producersAt(p *Plan) {
	if c.site == c.settings.Site.ID {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.registry.Producers())) {
		if own := c.producerOf(name); namesSite(own) && !c.registry.OfTopic(name) {
			p.Producers[publisher.InstanceName(name, c.server)] = c.producer(name, own)
		}
	}
}
