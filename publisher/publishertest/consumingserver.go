package publishertest

import (
	"zamqp/publisher"
)

// An Option of [New] changes how the server is configured.
type Option func(*publisher.Options)

// ConsumingServer adds a consuming server, as [consuming_server.NAME] of the configuration does.
// Then each consumer runs in each consuming server, and [Server.Deliver] needs the name of the
// instance, such as "billing@eu".
func ConsumingServer(name string, c publisher.ConsumingServer) Option {
	return func(o *publisher.Options) {
		if o.ConsumingServers == nil {
			o.ConsumingServers = map[string]publisher.ConsumingServer{}
		}
		o.ConsumingServers[name] = c
	}
}

// instances returns the producers and the consumers of the consuming servers, with the names that
// they have there.
func instances(registry *publisher.Registry, o *publisher.Options) (map[string]publisher.Producer, map[string]publisher.Consumer) {
	producers, consumers := map[string]publisher.Producer{}, map[string]publisher.Consumer{}
	for server, c := range o.ConsumingServers {
		for name, k := range registry.Consumers() {
			if registry.OfTopic(name) {
				consumers[name] = k
				continue
			}
			if k.Queue == "" && !k.ServerNamed {
				k.Queue = name
			}
			expand(c.Site, &k.Queue)
			consumers[publisher.InstanceName(name, server)] = k
		}
		for name, p := range registry.Producers() {
			if registry.OfTopic(name) {
				continue
			}
			expand(c.Site, &p.Exchange, &p.RoutingKey, &p.Queue, &p.ReplyTo, &p.UserID, &p.AppID)
			producers[publisher.InstanceName(name, server)] = p
		}
	}
	return producers, consumers
}

// expand puts the site's id into names. Without an id they stay as they are.
func expand(site string, names ...*string) {
	for _, name := range names {
		*name, _ = publisher.ExpandSite(*name, site)
	}
}
