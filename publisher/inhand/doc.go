// Package inhand keeps a file that says which messages are being handled, so that
// the next process knows what this one had in hand when it was killed.
//
// A slot is written before a handler starts, and given back when the handler has ended. The
// file is memory-mapped and never synced. After a kill of the process everything that was
// written is there, which is what matters. After a loss of power, slots may be old or
// missing. See docs/decisions/0011-in-hand-file.md.
package inhand
