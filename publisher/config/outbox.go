package config

import (
	"maps"
	"slices"
)

// OutboxSQL is the value of Connection.Outbox for an outbox in the application's database.
const OutboxSQL = "sql"

// Outboxes returns the names of the connections that have an outbox, sorted.
func (p *Plan) Outboxes() (names []string) {
	for _, name := range p.Connections {
		if p.Settings.Connections[name].Outbox == OutboxSQL {
			names = append(names, name)
		}
	}
	return names
}

// outboxes checks that there is a database for the outboxes.
func (c *planner) outboxes() {
	if len(c.registry.Databases()) > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings.Connections)) {
		if n := c.settings.Connections[name]; n.Outbox == OutboxSQL {
			c.declaration("connection."+name+".outbox", show(n.Outbox),
				"no handler package has registered a database: call publisher.Database in one, or leave the outbox off")
		}
	}
}
