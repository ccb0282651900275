package config

import (
	"maps"
	"slices"

	"zamqp/publisher"
)

// leaders checks the connections over which clocks elect their leaders, and marks them as used.
func (c *planner) leaders(used map[string]bool) {
	clocks := c.registry.Clocks()
	for _, name := range slices.Sorted(maps.Keys(clocks)) {
		clock := clocks[name]
		if own := c.settings.Clocks[name]; own != nil {
			clock = *own
		}
		if clock.Disabled || clock.Leader == "" {
			continue
		}
		key := "clock." + name + ".leader"
		if c.connectionKnown(key, clock.Leader); c.settings.Connections[clock.Leader] == nil {
			continue
		}
		c.length(key, publisher.ClockQueue(name, c.settings.Site.ID))
		used[clock.Leader] = true
	}
}
