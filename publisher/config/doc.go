// Package config turns text into a checked Plan. The text comes from the file, the
// environment and the options of the command line.
//
// Each source (file.go, env.go) makes a layer: a tree with the origin of each key. strict.go
// finds keys that schema.go does not have, and layer.go merges the layers. decode.go fills
// Settings, check.go compares keys with each other, and plan.go applies the result to what
// the handler packages registered. Each step reports everything that it finds, as Problems.
//
// This package opens no socket and does not use the loop. The defaults of a machine are taken
// from that machine.
package config
