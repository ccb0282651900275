package config

import (
	"slices"
	"strings"
)

// SchemaKeys gives tests every key of the schema, sorted, with one name each for a
// connection, a consumer, a producer, a clock, a topic and a consuming server; a user of the broker is called NAME.
func SchemaKeys(connection, consumer, producer, clock, topic, server string) []string {
	names := strings.NewReplacer("pool.\x00", "pool."+connection, "connection.\x00", "connection."+connection,
		"consumer.\x00", "consumer."+consumer, "producer.\x00", "producer."+producer, "clock.\x00", "clock."+clock,
		"topic.\x00", "topic."+topic, "consuming_server.\x00", "consuming_server."+server,
		"broker.users.\x00.permissions.\x00", `broker.users.NAME.permissions."/"`, "broker.users.\x00", "broker.users.NAME")
	var keys []string
	for _, key := range settingsSchema.keys("", "\x00") {
		keys = append(keys, names.Replace(key))
	}
	slices.Sort(keys)
	return keys
}
