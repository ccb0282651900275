package config

import (
	"slices"
	"strings"
)

// SchemaKeys gives tests every key of the schema, sorted. nameOf chooses the name of the one
// entry that a table of names is listed with: "hello" for "consumer".
func SchemaKeys(nameOf func(table string) string) []string {
	var keys []string
	for _, key := range settingsSchema.keys("", "\x00") {
		for strings.Contains(key, "\x00") {
			table, _, _ := strings.Cut(key, ".\x00")
			key = strings.Replace(key, "\x00", nameOf(table), 1)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Tables gives tests the tables of the schema, in order.
func Tables() []string { return settingsSchema.names() }
