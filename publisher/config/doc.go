// Package config turns text into a checked Plan. The text comes from the file, the
// environment and the options of the command line.
//
// Each source (file.go, env.go) makes a layer: a tree with the origin of each key.
// strict.go finds keys that schema.go does not have, and layer.go lays the layers
// over each other. decode.go fills Settings, check.go compares keys with each
// other, and plan.go lays the result over what the handler packages registered.
// Each step reports everything that it finds, as Problems.
//
// Nothing here opens a socket or uses the loop. The defaults of a machine are taken
// from that machine.
package config
