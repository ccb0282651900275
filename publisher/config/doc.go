// Package config makes a checked Plan of text: the file, the environment and the
// options of the command line.
//
// The way of a setting: each source (file.go, env.go) makes a layer, a tree
// with the origin of each key. strict.go finds keys that schema.go does not
// have, layer.go lays them over each other, decode.go fills Settings, check.go compares
// keys with each other, and plan.go lays the result over what the handler
// packages registered. Each step reports everything it finds, as Problems.
//
// Nothing here opens a socket or knows of the loop. Defaults that a machine has are
// taken from the machine.
package config
